with placed as (
  select auction, time_bucket(interval 2 seconds, ts) - k * interval 2 seconds as window_start
  from bid cross join (select unnest(range(5)) as k)),
counts as (select window_start, auction, count(*) as num from placed group by all)
select window_start, window_start + interval 10 seconds as window_end, auction, num from counts
qualify num = max(num) over (partition by window_start)
