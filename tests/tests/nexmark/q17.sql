with leveled as (
  select *, strftime(ts, '%Y-%m-%d') as day, case when price < 10000 then 1 when price < 1000000 then 2 else 3 end as level
  from bid)
select auction, day,
       count(*) as total_bids,
       count(*) filter (level = 1) as rank1_bids,
       count(*) filter (level = 2) as rank2_bids,
       count(*) filter (level = 3) as rank3_bids,
       min(price) as min_price,
       max(price) as max_price,
       sum(price)::bigint // count(*) as avg_price,
       sum(price)::bigint as sum_price
from leveled group by auction, day
