select ts::date::timestamptz as window_start, ts::date::timestamptz + interval 1 day as window_end,
       auction, bidder, price, channel, url, ts as "dateTime", extra
from bid
qualify row_number() over (partition by ts::date, bidder, auction order by ts desc) = 1
