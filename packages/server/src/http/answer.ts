import type { RouteDeclaration } from '@strongroom/contract';
import type { FastifyReply } from 'fastify';
import { sessionCookie } from './authentication.ts';
import type { HandlerReply } from './handler.ts';
import type { TurnAnswers } from './turn-answers.ts';

/** An answer's JSON as it is sent. */
interface JsonText {
  readonly text: string;
  readonly byteLength: number;
}

export type SendAnswer = (reply: FastifyReply, answer: HandlerReply<RouteDeclaration>) => void;

/** Adds the headers of every answer to one that Fastify sends. */
type SetHeaders = (reply: FastifyReply) => void;

export function createHeaderSetter(headers: Readonly<Record<string, string>>): SetHeaders {
  return (reply) => {
    void reply.headers(headers).header('x-request-id', reply.request.id);
  };
}

/** Lets go of an answer that nobody waits for any more. */
export function discardAnswer({ stream }: HandlerReply<RouteDeclaration>): void {
  if (typeof stream === 'object') stream.destroy();
}

/**
 * Sends what the handlers of one route answer. JSON is made by the route's response schema, which leaves out whatever it does
 * not declare, and written in one piece with headers that are put together once; streams are Fastify's to send.
 *
 * @param fixedHeaders of every answer
 * @param turn where JSON goes out, with what else is answered in the same turn
 * @throws what the schema's serializer does; nothing is sent then
 */
export function createAnswer(
  route: RouteDeclaration,
  fixedHeaders: Readonly<Record<string, string>>,
  isHttps: boolean,
  turn: TurnAnswers,
): SendAnswer {
  const setHeaders = createHeaderSetter(fixedHeaders);
  const head: readonly string[] = Object.entries(fixedHeaders).flat();
  // A frozen body is one that will be answered again.
  const texts = new WeakMap<object, JsonText>();

  const jsonOf = (reply: FastifyReply, body: unknown): JsonText => {
    const object = typeof body === 'object' && body !== null ? body : undefined;
    const known = object === undefined ? undefined : texts.get(object);
    if (known !== undefined) return known;
    const text = reply.serialize(body);
    if (typeof text !== 'string') throw new TypeError(`${route.id}: its serializer makes no text`);
    const json = { text, byteLength: Buffer.byteLength(text) };
    if (object !== undefined && Object.isFrozen(object)) texts.set(object, json);
    return json;
  };

  const headOf = (reply: FastifyReply, answer: HandlerReply<RouteDeclaration>): string[] => {
    const headers = [...head, 'x-request-id', reply.request.id];
    if (answer.etag !== undefined) headers.push('etag', `"${answer.etag}"`);
    if (answer.headers !== undefined)
      for (const [name, value] of Object.entries(answer.headers)) headers.push(name, value);
    if (answer.sessionCookie !== undefined) headers.push('set-cookie', sessionCookie(isHttps, answer.sessionCookie));
    return headers;
  };

  const sendStream = (reply: FastifyReply, answer: HandlerReply<RouteDeclaration>, mediaType: string): void => {
    // To HEAD Fastify would read it to its end, for nobody: a log that is followed has none for days.
    if (reply.request.method === 'HEAD' && typeof answer.stream === 'object') {
      answer.stream.destroy();
      const type = answer.headers?.['content-type'] === undefined ? ['content-type', mediaType] : [];
      const headers = [...headOf(reply, answer), ...type];
      reply.hijack();
      reply.raw.writeHead(route.status, headers).end();
      return;
    }
    setHeaders(reply);
    if (answer.etag !== undefined) reply.header('etag', `"${answer.etag}"`);
    if (answer.headers !== undefined) reply.headers(answer.headers);
    if (answer.sessionCookie !== undefined) reply.header('set-cookie', sessionCookie(isHttps, answer.sessionCookie));
    reply.header('content-type', answer.headers?.['content-type'] ?? mediaType).send(answer.stream);
  };

  return (reply, answer) => {
    reply.code(route.status);
    if (route.raw !== undefined) return sendStream(reply, answer, route.raw.mediaType);
    const json = route.response === undefined ? undefined : jsonOf(reply, answer.body);
    const headers = headOf(reply, answer);
    if (json !== undefined)
      headers.push('content-type', 'application/json; charset=utf-8', 'content-length', String(json.byteLength));
    reply.hijack();
    reply.raw.writeHead(route.status, headers);
    if (json === undefined) reply.raw.end();
    // ASCII is the same bytes in both, and is written faster.
    else turn.end(reply.raw, json.text, json.byteLength === json.text.length ? 'latin1' : 'utf8');
  };
}
