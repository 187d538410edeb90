select auction, bidder, price, ts as "dateTime", extra from bid
