// The rides job of examples/rides.yaml on Flink SQL, in one process. It reads a Kafka topic up to its current end, and
// writes JSON files or nothing. The registries have no sink for Delta tables that works with this version.
//
// usage: FlinkRides BOOTSTRAP TOPIC OUTPUT_FOLDER|blackhole CHECKPOINT_FOLDER PARALLELISM SUMMARY_FILE

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.table.api.EnvironmentSettings;
import org.apache.flink.table.api.TableResult;
import org.apache.flink.table.api.bridge.java.StreamTableEnvironment;

public final class FlinkRides {
  public static void main(String[] args) throws Exception {
    if (args.length != 6) {
      System.err.println("usage: FlinkRides BOOTSTRAP TOPIC OUTPUT_FOLDER|blackhole CHECKPOINT_FOLDER PARALLELISM SUMMARY_FILE");
      System.exit(64);
    }
    Configuration settings = settings(args[3], args[4]);
    StreamTableEnvironment tables =
        StreamTableEnvironment.create(
            StreamExecutionEnvironment.getExecutionEnvironment(settings),
            EnvironmentSettings.newInstance().inStreamingMode().withConfiguration(settings).build());
    tables.executeSql(source(args[0], args[1]));
    tables.executeSql(
        "CREATE VIEW cleaned AS SELECT UPPER(city) AS city, price, distanceKm, ts FROM rides WHERE price >= 0");
    tables.executeSql(sink(args[2]));
    TableResult job = tables.executeSql(INSERT);
    job.await();
    Files.writeString(Path.of(args[5]), summary());
    // Threads of the embedded cluster would keep the process running for a while.
    System.exit(0);
  }

  private static Configuration settings(String checkpoints, String parallelism) {
    Configuration settings = new Configuration();
    settings.setString("parallelism.default", parallelism);
    settings.setString("taskmanager.numberOfTaskSlots", parallelism);
    settings.setString("table.local-time-zone", "UTC");
    settings.setString("state.backend.type", "hashmap");
    // The interval of the trigger in examples/rides.yaml.
    settings.setString("execution.checkpointing.interval", "5 s");
    settings.setString("execution.checkpointing.dir", "file://" + checkpoints);
    // An error ends the run instead of hiding in a second try.
    settings.setString("restart-strategy.type", "none");
    settings.setString("pipeline.object-reuse", "true");
    // The heap holds this state. Memory that Flink would reserve for other kinds of state would only count against it.
    settings.setString("taskmanager.memory.managed.size", "64m");
    settings.setString("taskmanager.memory.network.min", "64m");
    settings.setString("taskmanager.memory.network.max", "64m");
    settings.setString("metrics.reporters", "counters");
    settings.setString("metrics.reporter.counters.factory.class", "FlinkCounters");
    return settings;
  }

  private static String source(String bootstrap, String topic) {
    return "CREATE TABLE rides (rideId BIGINT, userId BIGINT, city STRING, distanceKm DOUBLE, price DOUBLE, ts TIMESTAMP_LTZ(3),"
        + " WATERMARK FOR ts AS ts - INTERVAL '10' MINUTE) WITH ('connector' = 'kafka', 'topic' = '" + topic + "',"
        + " 'properties.bootstrap.servers' = '" + bootstrap + "', 'scan.startup.mode' = 'earliest-offset',"
        + " 'scan.bounded.mode' = 'latest-offset', 'format' = 'json', 'json.timestamp-format.standard' = 'ISO-8601')";
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

  private static String summary() {
    return String.format(
        Locale.ROOT,
        "{\"records_read\": %d, \"late_dropped\": %d, \"first_record_at\": %.3f}%n",
        FlinkCounters.recordsRead(),
        FlinkCounters.lateDropped(),
        FlinkCounters.firstRecordAtMs() / 1e3);
  }
}
