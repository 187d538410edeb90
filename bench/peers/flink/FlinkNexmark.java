// A query of Nexmark on Flink SQL, in one process. It reads a Kafka topic up to its current end, and discards the
// results. The tables and views are those of Flink's Nexmark (github.com/nexmark/nexmark), but for the columns: only
// those that the query reads are declared, as in Weir's document, so that neither engine decodes more than the other.
//
// usage: FlinkNexmark BOOTSTRAP TOPIC QUERY_FILE CHECKPOINT_FOLDER PARALLELISM SUMMARY_FILE
//
// The query's first line is a comment with the fields of bids that it reads, such as "-- bid: auction, price", or, if it
// goes by the clock and has the time as p_time, "-- bid by the clock: auction, price".

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.table.annotation.DataTypeHint;
import org.apache.flink.table.api.TableDescriptor;
import org.apache.flink.table.api.bridge.java.StreamTableEnvironment;
import org.apache.flink.table.data.StringData;
import org.apache.flink.table.functions.ScalarFunction;

public final class FlinkNexmark {
  private static final String FIELDS = "-- bid: ", FIELDS_BY_CLOCK = "-- bid by the clock: ";
  private static final Map<String, String> TYPES =
      Map.of("auction", "BIGINT", "bidder", "BIGINT", "price", "BIGINT", "channel", "STRING", "url", "STRING", "extra", "STRING");

  public static void main(String[] args) throws Exception {
    List<String> lines = args.length == 6 ? Files.readAllLines(Path.of(args[2])) : List.of("");
    String first = lines.get(0);
    boolean byClock = first.startsWith(FIELDS_BY_CLOCK);
    if (!byClock && !first.startsWith(FIELDS)) {
      System.err.println("usage: FlinkNexmark BOOTSTRAP TOPIC QUERY_FILE CHECKPOINT_FOLDER PARALLELISM SUMMARY_FILE");
      System.err.println("The first line of QUERY_FILE is like this: " + FIELDS + "auction, price");
      System.exit(64);
    }
    List<String> fields = List.of(first.substring((byClock ? FIELDS_BY_CLOCK : FIELDS).length()).split(", "));
    StreamTableEnvironment tables = FlinkJob.tables(settings(args[3], args[4]));
    tables.createTemporarySystemFunction("count_char", CountChar.class);
    tables.executeSql(events(fields, byClock) + FlinkJob.topic(args[0], args[1], "SQL"));
    tables.executeSql(bids(fields, byClock));
    String query = String.join("\n", lines.subList(1, lines.size()));
    TableDescriptor nothing = TableDescriptor.forConnector("blackhole").build();
    FlinkJob.finish(tables.sqlQuery(query).insertInto(nothing).execute(), args[5]);
  }

  /** With the settings for SQL of Flink's Nexmark. */
  private static Configuration settings(String checkpoints, String parallelism) {
    Configuration settings = FlinkJob.settings(checkpoints, parallelism);
    settings.setString("table.exec.mini-batch.enabled", "true");
    settings.setString("table.exec.mini-batch.allow-latency", "2 s");
    settings.setString("table.exec.mini-batch.size", "50000");
    settings.setString("table.optimizer.distinct-agg.split.enabled", "true");
    return settings;
  }

  private static String events(List<String> fields, boolean byClock) {
    String typed = fields.stream().map(field -> field + " " + TYPES.get(field)).collect(Collectors.joining(", "));
    return byClock
        ? "CREATE TABLE events (event_type INT, bid ROW<" + typed + ">)"
        : "CREATE TABLE events (event_type INT, person ROW<`dateTime` TIMESTAMP(3)>, auction ROW<`dateTime` TIMESTAMP(3)>,"
            + " bid ROW<" + typed + ", `dateTime` TIMESTAMP(3)>,"
            + " `dateTime` AS CASE WHEN event_type = 0 THEN person.`dateTime` WHEN event_type = 1 THEN auction.`dateTime`"
            + " ELSE bid.`dateTime` END, WATERMARK FOR `dateTime` AS `dateTime` - INTERVAL '4' SECOND)";
  }

  private static String bids(List<String> fields, boolean byClock) {
    String columns = fields.stream().map(field -> "bid." + field).collect(Collectors.joining(", "));
    return "CREATE VIEW bid AS SELECT " + columns + (byClock ? ", PROCTIME() AS p_time" : ", `dateTime`")
        + " FROM events WHERE event_type = 2";
  }

  /** How often the first byte of one text is in another one. */
  public static final class CountChar extends ScalarFunction {
    public long eval(@DataTypeHint("STRING") StringData text, @DataTypeHint("STRING") StringData character) {
      if (text == null) {
        return 0;
      }
      byte wanted = character.toBytes()[0];
      long count = 0;
      for (byte found : text.toBytes()) {
        if (found == wanted) {
          count++;
        }
      }
      return count;
    }
  }
}
