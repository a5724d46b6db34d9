import { type IncomingHttpHeaders, request as plainRequest } from 'node:http';
import { request as tlsRequest } from 'node:https';

const timeoutMs = 30_000;

export interface HttpRequest {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent as JSON; a string as it is. */
  readonly body?: unknown;
  /** The only authority whose certificates are accepted, PEM. */
  readonly caCertificate?: string | undefined;
}

export interface HttpAnswer<Body> {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** Parsed when it is a JSON object or array, else the text. */
  readonly body: Body;
}

/** One request over a connection of its own; follows no redirect. `fetch` can't be told which authority to trust. */
export function httpRequest<Body = unknown>(url: string, options: HttpRequest = {}): Promise<HttpAnswer<Body>> {
  const { method = 'GET', headers, body, caCertificate } = options;
  const payload = body === undefined || typeof body === 'string' ? body : JSON.stringify(body);
  const type = payload === undefined || payload === body ? {} : { 'content-type': 'application/json' };
  return new Promise((resolve, reject) => {
    const request = url.startsWith('https:') ? tlsRequest : plainRequest;
    const sent = request(
      url,
      { method, headers: { ...type, ...headers }, agent: false, timeout: timeoutMs, ca: caCertificate },
      (answer) => {
        const chunks: Buffer[] = [];
        answer.on('data', (chunk: Buffer) => chunks.push(chunk));
        answer.once('error', reject);
        answer.once('end', () => {
          const text = Buffer.concat(chunks).toString('utf8');
          resolve({ status: answer.statusCode ?? 0, headers: answer.headers, body: parsed(text) as Body });
        });
      },
    );
    sent.once('timeout', () => sent.destroy(new Error(`${method} ${url}: no answer within ${timeoutMs / 1000} s`)));
    sent.once('error', reject);
    sent.end(payload);
  });
}

/** By what it is: moto calls its JSON HTML. */
function parsed(text: string): unknown {
  if (!/^\s*[[{]/.test(text)) return text;
  try {
    return JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return text;
    throw error;
  }
}
