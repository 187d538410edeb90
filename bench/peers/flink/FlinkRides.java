// The rides job of examples/rides.yaml on Flink SQL, in one process. It reads a Kafka topic up to its current end, and
// writes JSON files or nothing. The registries have no sink for Delta tables that works with this version.
//
// usage: FlinkRides BOOTSTRAP TOPIC OUTPUT_FOLDER|blackhole CHECKPOINT_FOLDER PARALLELISM SUMMARY_FILE

import org.apache.flink.table.api.bridge.java.StreamTableEnvironment;

public final class FlinkRides {
  public static void main(String[] args) throws Exception {
    if (args.length != 6) {
      System.err.println("usage: FlinkRides BOOTSTRAP TOPIC OUTPUT_FOLDER|blackhole CHECKPOINT_FOLDER PARALLELISM SUMMARY_FILE");
      System.exit(64);
    }
    StreamTableEnvironment tables = FlinkJob.tables(FlinkJob.settings(args[3], args[4]));
    tables.executeSql(source(args[0], args[1]));
    tables.executeSql(
        "CREATE VIEW cleaned AS SELECT UPPER(city) AS city, price, distanceKm, ts FROM rides WHERE price >= 0");
    tables.executeSql(sink(args[2]));
    FlinkJob.finish(tables.executeSql(INSERT), args[5]);
  }

  private static String source(String bootstrap, String topic) {
    return "CREATE TABLE rides (rideId BIGINT, userId BIGINT, city STRING, distanceKm DOUBLE, price DOUBLE, ts TIMESTAMP_LTZ(3),"
        + " WATERMARK FOR ts AS ts - INTERVAL '10' MINUTE)" + FlinkJob.topic(bootstrap, topic, "ISO-8601");
  }

  private static String sink(String output) {
    String columns =
        "`date` DATE, city STRING, win_start STRING, win_end STRING, revenue DOUBLE, avg_distance DOUBLE, cnt BIGINT";
    return output.equals("blackhole")
        ? "CREATE TABLE silver (" + columns + ") WITH ('connector' = 'blackhole')"
        : "CREATE TABLE silver (" + columns + ") PARTITIONED BY (`date`)"
            + " WITH ('connector' = 'filesystem', 'format' = 'json', 'path' = 'file://" + output + "')";
  }

  private static final String INSERT =
      "INSERT INTO silver SELECT CAST(window_start AS DATE), city, DATE_FORMAT(window_start, 'yyyy-MM-dd HH:mm:ss'),"
          + " DATE_FORMAT(window_end, 'yyyy-MM-dd HH:mm:ss'), SUM(price), AVG(distanceKm), COUNT(*)"
          + " FROM TUMBLE(TABLE cleaned, DESCRIPTOR(ts), INTERVAL '5' MINUTE) GROUP BY window_start, window_end, city";
}
