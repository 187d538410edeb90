with known as (
  select auction, bidder, price, channel,
         coalesce(map {'apple': '0', 'google': '1', 'facebook': '2', 'baidu': '3'}[lower(channel)],
                  nullif(regexp_extract(url, '(&|^)channel_id=([^&]*)', 2), '')) as channel_id
  from bid)
select * from known where channel_id is not null
