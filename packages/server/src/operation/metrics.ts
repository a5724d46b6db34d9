import { createServer, type Server } from 'node:http';
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { ListenAddress } from '../config/settings.ts';
import type { Removed } from '../launches/retention.ts';
import { RequestDurations } from './request-durations.ts';
import { version } from './version.ts';

/**
 * The metrics of one process. Labels are ids of routes, codes and names of jobs: closed sets, never a name of somebody's
 * secret or domain.
 */
export class Metrics {
  readonly registry = new Registry();
  readonly #durations: RequestDurations;
  readonly #sourceDurations: Histogram<'type' | 'outcome'>;
  readonly #removed: Counter<'kind'>;

  constructor() {
    collectDefaultMetrics({ register: this.registry });
    this.#durations = new RequestDurations(this.registry);
    this.#sourceDurations = new Histogram({
      name: 'strongroom_source_request_duration_seconds',
      help: 'Time of a request to the backend of an integration, by its type and what came of it',
      labelNames: ['type', 'outcome'],
      buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20],
      registers: [this.registry],
    });
    this.#removed = new Counter({
      name: 'strongroom_retention_removed_total',
      help: 'Launches, runs and receipts that this server removed when their retention was over',
      labelNames: ['kind'],
      registers: [this.registry],
    });
    this.countRemoved({ launches: 0, runs: 0, receipts: 0 });
    new Gauge({ name: 'strongroom_build_info', help: 'Always 1', labelNames: ['version'], registers: [this.registry] })
      .labels(version)
      .set(1);
  }

  observe(routeId: string, status: number, milliseconds: number): void {
    this.#durations.count(routeId, status, milliseconds / 1000);
  }

  /** A request to a backend. Nothing of it but its type and outcome is a label: names are somebody's. */
  observeSource(type: string, outcome: string, milliseconds: number): void {
    this.#sourceDurations.observe({ type, outcome }, milliseconds / 1000);
  }

  /** What the end of its retention took away. */
  countRemoved(removed: Removed): void {
    for (const kind of ['launches', 'runs', 'receipts'] as const) this.#removed.labels(kind).inc(removed[kind]);
  }

  /** A number read when the metrics are. */
  gauge(name: string, help: string, read: () => number): void {
    const gauge: Gauge = new Gauge({
      name,
      help,
      registers: [],
      collect: (): void => gauge.set(read()),
    });
    this.registry.registerMetric(gauge);
  }

  text(): Promise<string> {
    return this.registry.metrics();
  }
}

/** Serves the metrics alone, without sign-in: who reaches the address reads them. */
export async function listenForMetrics(metrics: Metrics, address: ListenAddress): Promise<Server> {
  const server = createServer({ requestTimeout: 5_000, headersTimeout: 5_000 }, (request, response) => {
    const isMetrics = request.method === 'GET' && request.url === '/metrics';
    if (!isMetrics) {
      response.writeHead(404).end();
      return;
    }
    metrics.text().then(
      (text) =>
        response
          .writeHead(200, { 'content-type': metrics.registry.contentType, 'cache-control': 'no-store' })
          .end(text),
      () => response.writeHead(500).end(),
    );
  });
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once('error', reject).listen(address.port, address.host, resolve);
  await promise;
  return server;
}
