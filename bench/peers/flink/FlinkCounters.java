// Flink's own counts while the job runs in this process: records that its sources emitted, rows that its windows
// dropped as late, and when the first record arrived. This is a metric reporter, because nothing else sees the counters
// of an embedded cluster.

import java.util.Properties;
import java.util.concurrent.CopyOnWriteArrayList;
import org.apache.flink.metrics.Counter;
import org.apache.flink.metrics.Metric;
import org.apache.flink.metrics.MetricConfig;
import org.apache.flink.metrics.MetricGroup;
import org.apache.flink.metrics.reporter.MetricReporter;
import org.apache.flink.metrics.reporter.MetricReporterFactory;

public final class FlinkCounters implements MetricReporter, MetricReporterFactory {
  private static final long LOOK_EVERY_MS = 10;
  private static final CopyOnWriteArrayList<Counter> READ = new CopyOnWriteArrayList<>();
  private static final CopyOnWriteArrayList<Counter> LATE = new CopyOnWriteArrayList<>();
  private static volatile long firstRecordAtMs;

  static long recordsRead() {
    return sum(READ);
  }

  static long lateDropped() {
    return sum(LATE);
  }

  /** Since 1970, at most LOOK_EVERY_MS too late. */
  static long firstRecordAtMs() {
    return firstRecordAtMs;
  }

  private static long sum(Iterable<Counter> counters) {
    long sum = 0;
    for (Counter counter : counters) {
      sum += counter.getCount();
    }
    return sum;
  }

  @Override
  public MetricReporter createMetricReporter(Properties properties) {
    return this;
  }

  @Override
  public void open(MetricConfig config) {
    Thread look = new Thread(FlinkCounters::awaitFirstRecord, "first record");
    look.setDaemon(true);
    look.start();
  }

  private static void awaitFirstRecord() {
    try {
      while (recordsRead() == 0) {
        Thread.sleep(LOOK_EVERY_MS);
      }
      firstRecordAtMs = System.currentTimeMillis();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  @Override
  public void close() {}

  @Override
  public void notifyOfAddedMetric(Metric metric, String name, MetricGroup group) {
    String operator = group.getAllVariables().get("<operator_name>");
    if (operator == null || !(metric instanceof Counter)) {
      return;
    }
    if (name.equals("numRecordsIn") && operator.startsWith("Source:")) {
      READ.add((Counter) metric);
    } else if (name.equals("numLateRecordsDropped")) {
      LATE.add((Counter) metric);
    }
  }

  // Counters keep their last value: they are read when the job is over.
  @Override
  public void notifyOfRemovedMetric(Metric metric, String name, MetricGroup group) {}
}
