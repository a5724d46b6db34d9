import { createSocket } from 'node:dgram';
import { Resolver } from 'node:dns/promises';
import { once } from 'node:events';
import { type Answer, decode, encode } from 'dns-packet';
import { resolveByServers, type Resolve } from '@strongroom/backends/egress';

/** Answers of a name: what each asking gets, the last one from then on. Texts are A, AAAA (with a colon) or CNAME (with a final dot). */
export type Zone = Readonly<Record<string, readonly (readonly string[])[]>>;

export interface DnsServer extends AsyncDisposable {
  readonly resolve: Resolve;
  /** Questions so far, as `A name`. */
  readonly questions: readonly string[];
}

/** A name server on loopback that follows a script. An asking is one A question; the AAAA question gets the same turn. */
export async function startDnsServer(zone: Zone): Promise<DnsServer> {
  const questions: string[] = [];
  const turns = new Map<string, number>();
  const socket = createSocket('udp4');
  socket.on('message', (message, sender) => {
    const query = decode(message);
    const [question] = query.questions ?? [];
    if (question === undefined) return;
    const { name, type } = question;
    questions.push(`${type} ${name}`);
    const turn = turns.get(`${type} ${name}`) ?? 0;
    turns.set(`${type} ${name}`, turn + 1);
    const answers = answersOf(zone, name, type, turn);
    const isKnown = Object.hasOwn(zone, name);
    socket.send(
      encode({ type: 'response', id: query.id ?? 0, flags: isKnown ? 0x0180 : 0x0183, questions: [question], answers }),
      sender.port,
      sender.address,
    );
  });
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  const resolver = new Resolver({ timeout: 60_000, tries: 1 });
  resolver.setServers([`127.0.0.1:${socket.address().port}`]);
  return {
    resolve: resolveByServers(resolver),
    questions,
    async [Symbol.asyncDispose]() {
      resolver.cancel();
      socket.close();
      await once(socket, 'close');
    },
  };
}

function answersOf(zone: Zone, name: string, type: string, turn: number): Answer[] {
  const script = zone[name] ?? [];
  const records = script[Math.min(turn, script.length - 1)] ?? [];
  return records.flatMap((data): Answer[] => {
    if (data.endsWith('.')) {
      const target = data.slice(0, -1);
      return [{ type: 'CNAME', name, data: target, ttl: 0 }, ...answersOf(zone, target, type, turn)];
    }
    const own = data.includes(':') ? 'AAAA' : 'A';
    return own === type ? [{ type: own, name, data, ttl: 0 }] : [];
  });
}
