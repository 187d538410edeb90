// What the jobs for Flink share: the settings of an embedded cluster, its source for Kafka, and a run up to the topic's
// current end.

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.table.api.EnvironmentSettings;
import org.apache.flink.table.api.TableResult;
import org.apache.flink.table.api.bridge.java.StreamTableEnvironment;

final class FlinkJob {
  private FlinkJob() {}

  static Configuration settings(String checkpoints, String parallelism) {
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

  static StreamTableEnvironment tables(Configuration settings) {
    return StreamTableEnvironment.create(
        StreamExecutionEnvironment.getExecutionEnvironment(settings),
        EnvironmentSettings.newInstance().inStreamingMode().withConfiguration(settings).build());
  }

  /** The end of a CREATE TABLE: a topic of JSON, up to its current end. */
  static String topic(String bootstrap, String topic, String timeFormat) {
    return " WITH ('connector' = 'kafka', 'topic' = '" + topic + "',"
        + " 'properties.bootstrap.servers' = '" + bootstrap + "', 'scan.startup.mode' = 'earliest-offset',"
        + " 'scan.bounded.mode' = 'latest-offset', 'format' = 'json', 'json.timestamp-format.standard' = '" + timeFormat + "')";
  }

  /** Waits for the job, writes what it counted, and ends the process. */
  static void finish(TableResult job, String summaryFile) throws Exception {
    job.await();
    Files.writeString(Path.of(summaryFile), summary());
    // Threads of the embedded cluster would keep the process running for a while.
    System.exit(0);
  }

  private static String summary() {
    return String.format(
        Locale.ROOT,
        "{\"records_read\": %d, \"late_dropped\": %d, \"first_record_at\": %.3f}%n",
        FlinkCounters.recordsRead(),
        FlinkCounters.lateDropped(),
        FlinkCounters.firstRecordAtMs() / 1e3);
  }
}
