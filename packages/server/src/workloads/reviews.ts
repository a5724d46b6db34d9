import { StrongroomError } from '@strongroom/contract';
import type { ReviewedToken } from '@strongroom/backends/kubernetes';
import type { OpenedClusters } from '../clusters/opened-clusters.ts';
import { RateLimit } from '../http/rate-limit.ts';

/** A token to be checked, by the digest of its text. */
export interface TokenQuestion {
  readonly digest: string;
  readonly token: string;
  readonly clusterId: string;
  /** Of the cluster: what was known at another one is asked anew. */
  readonly clusterRevision: number;
  readonly audience: string;
  /** Milliseconds since 1970. */
  readonly expiresAt: number;
  /** Where it comes from, as attempts are limited. */
  readonly network: string;
  /** Whether its cluster took it before. */
  readonly isProven: boolean;
}

interface Known {
  /** As `performance.now()` says it: a clock that is set back makes nothing hold for longer. */
  readonly until: number;
  /** Of the token, in milliseconds since 1970. */
  readonly expiresAt: number;
  readonly answer: Promise<ReviewedToken | null>;
}

/**
 * For so long a cluster's word on a token holds: a deleted pod or ServiceAccount is refused ten seconds later at the latest. A
 * launch, which makes two calls at once, asks once.
 */
const knownMilliseconds = 10_000;
const maxKnown = 10_000;
/**
 * Reviews under way at once, of tokens that were taken before and of others each: those who are told to come again then are not
 * the ones that are at work.
 */
const maxAtOnce = 32;
/**
 * Tokens that a cluster does not take, a minute and network. Whoever knows what a bound ServiceAccount is called and its uid can
 * make up any number of them, each another one; beyond this no cluster is asked about tokens of that network that were not taken before.
 */
const maxRefused = 60;
const reviewMilliseconds = 10_000;

/** Reviews of tokens by their clusters (TokenReview). Remembered under a digest: the process keeps nobody's token. */
export class TokenReviews {
  readonly #clusters: Pick<OpenedClusters, 'open'>;
  readonly #known = new Map<string, Known>();
  readonly #refused = new RateLimit();
  readonly #underWay = { proven: 0, other: 0 };

  constructor(clusters: Pick<OpenedClusters, 'open'>) {
    this.#clusters = clusters;
  }

  /**
   * What the cluster says of the token; `null`: it does not take it.
   * @throws StrongroomError when the cluster could not be asked, `throttled` when too many are being asked about
   */
  async ask(question: TokenQuestion): Promise<ReviewedToken | null> {
    const key = `${question.digest} ${question.clusterId} ${question.clusterRevision}`;
    const now = Date.now();
    const known = this.#known.get(key);
    if (known !== undefined && performance.now() < known.until && now < known.expiresAt) return known.answer;
    this.#requireRoom(question);
    const entry = {
      until: performance.now() + knownMilliseconds,
      expiresAt: question.expiresAt,
      answer: this.#review(question),
    };
    // An outage is nothing that is known of the token.
    entry.answer.catch(() => {
      if (this.#known.get(key) === entry) this.#known.delete(key);
    });
    this.#known.delete(key);
    this.#known.set(key, entry);
    const [oldest] = this.#known.keys();
    if (this.#known.size > maxKnown && oldest !== undefined) this.#known.delete(oldest);
    return entry.answer;
  }

  #requireRoom({ network, isProven }: TokenQuestion): void {
    if (!isProven) this.#refused.requireRoom(network, maxRefused, 'wrong tokens');
    if (this.#underWay[isProven ? 'proven' : 'other'] >= maxAtOnce)
      throw new StrongroomError('throttled', { detail: 'Too many tokens are being checked.', retryAfterSeconds: 1 });
  }

  async #review(question: TokenQuestion): Promise<ReviewedToken | null> {
    const { clusterId, token, audience, network, isProven } = question;
    const kind = isProven ? 'proven' : 'other';
    this.#underWay[kind] += 1;
    try {
      const signal = AbortSignal.timeout(reviewMilliseconds);
      const cluster = await this.#clusters.open(clusterId, signal);
      try {
        const { reviewToken } = await import('@strongroom/backends/kubernetes');
        const reviewed = await reviewToken(cluster.api, token, audience, signal);
        if (reviewed === null) this.#refused.count(network, maxRefused, 'wrong tokens');
        return reviewed;
      } finally {
        cluster.release();
      }
    } finally {
      this.#underWay[kind] -= 1;
    }
  }
}
