with leveled as (
  select *, strftime(ts, '%Y-%m-%d') as day, case when price < 10000 then 1 when price < 1000000 then 2 else 3 end as level
  from bid)
select channel, day, strftime(max(ts), '%H:%M') as minute,
       count(*) as total_bids,
       count(*) filter (level = 1) as rank1_bids,
       count(*) filter (level = 2) as rank2_bids,
       count(*) filter (level = 3) as rank3_bids,
       count(distinct bidder) as total_bidders,
       count(distinct bidder) filter (level = 1) as rank1_bidders,
       count(distinct bidder) filter (level = 2) as rank2_bidders,
       count(distinct bidder) filter (level = 3) as rank3_bidders,
       count(distinct auction) as total_auctions,
       count(distinct auction) filter (level = 1) as rank1_auctions,
       count(distinct auction) filter (level = 2) as rank2_auctions,
       count(distinct auction) filter (level = 3) as rank3_auctions
from leveled group by channel, day
