with placed as (select *, time_bucket(interval 10 seconds, ts) as window_start from bid)
select window_start, window_start + interval 10 seconds as window_end, auction, bidder, price, ts as "dateTime", extra
from placed
qualify price = max(price) over (partition by window_start)
