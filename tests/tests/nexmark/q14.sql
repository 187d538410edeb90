select auction, bidder, (0.908 * price)::decimal(23, 3) as price,
       case when extract(hour from ts) between 8 and 18 then 'dayTime'
            when extract(hour from ts) between 7 and 19 then 'otherTime'
            else 'nightTime' end as "bidTimeType",
       ts as "dateTime", extra, length(extra) - length(replace(extra, 'c', '')) as c_counts
from bid where 0.908 * price > 1000000 and 0.908 * price < 50000000
