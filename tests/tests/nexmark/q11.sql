with gaps as (select bidder, ts, ts - lag(ts) over (partition by bidder order by ts) as gap from bid),
numbered as (
  select bidder, ts, sum((gap is null or gap > interval 10 seconds)::int) over (partition by bidder order by ts) as n
  from gaps)
select bidder, count(*) as bid_count, min(ts) as starttime, max(ts) + interval 10 seconds as endtime
from numbered group by bidder, n
