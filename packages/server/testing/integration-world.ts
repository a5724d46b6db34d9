import { type Answer, startTestServer, type TestServer, type TestUser } from './app.ts';
import { Canaries } from './canaries.ts';
import { Conformance } from './conformance.ts';
import { type LoopbackVault, openLoopbackVault } from './loopback-vault.ts';
import { freshName } from './samples.ts';

/** An integration as its routes show it, as far as tests look at it. */
export interface IntegrationView {
  readonly id: string;
  readonly revision: number;
  readonly settings: object;
  readonly credentials: readonly { readonly name: string; readonly version: string }[];
  readonly health: { readonly state: string; readonly error?: { readonly code: string } };
  readonly index: { readonly keys: number; readonly isComplete: boolean; readonly ageSeconds: number | null };
  readonly bundle?: string;
}

export interface Chosen {
  readonly items: readonly { readonly reference: string; readonly key: string; readonly sourceType: string }[];
  readonly sources: readonly {
    readonly source: string;
    readonly health: IntegrationView['health'];
    readonly index?: IntegrationView['index'];
  }[];
  readonly nextCursor?: string;
}

/** The domain that a world's people stand in. */
export const finance = '/v1/domains/finance';

/** A server with two domains, a stand-in for Vault with secrets, and people who may do different things with it. */
export interface IntegrationWorld {
  readonly test: TestServer;
  readonly vault: LoopbackVault;
  readonly canaries: Canaries;
  readonly conformance: Conformance;
  readonly member: TestUser;
  readonly maintainer: TestUser;
  readonly viewer: TestUser;
  readonly token: string;
  /** What connects the stand-in by its token. */
  withToken(path?: string): {
    readonly type: string;
    readonly settings: { readonly address: string; readonly path: string; readonly authentication: object };
    readonly credentials: { readonly token: string };
  };
  /** And by an AppRole. */
  withAppRole(): {
    readonly type: string;
    readonly settings: object;
    readonly credentials: { readonly secretId: string };
  };
  /** Makes an integration and gives its name. */
  add(body?: object, at?: string): Promise<string>;
  /** What somebody may choose in `finance`; the member, when nobody is named. */
  choices(query?: string, who?: TestUser): Promise<Chosen>;
  close(): Promise<void>;
}

export async function openIntegrationWorld(): Promise<IntegrationWorld> {
  const canaries = new Canaries();
  const conformance = new Conformance();
  const token = canaries.plain('the token');
  const secretId = canaries.plain('the secret id');
  const vault = await openLoopbackVault({
    token,
    secretId,
    secrets: {
      'app/db': { value: canaries.plain('app/db') },
      'app/API Key': { value: canaries.plain('app/API Key') },
      'app/deep/er/key': { value: canaries.plain('app/deep/er/key') },
      'other/elsewhere': { value: 'x' },
    },
  });
  const test = await startTestServer({}, { canaries, onAnswer: conformance.see });
  await Promise.all(['finance', 'sales'].map((name) => test.createDomain(name)));
  const [member, maintainer, viewer] = await Promise.all([
    test.createUser('member', { domains: { finance: 'MEMBER' } }),
    test.createUser('maintainer', { domains: { finance: 'MAINTAINER' } }),
    test.createUser('viewer', { domains: { finance: 'VIEWER' } }),
  ]);
  const withToken: IntegrationWorld['withToken'] = (path = '/v1/secret/data/app') => ({
    type: 'VAULT',
    settings: { address: vault.url, path, authentication: { method: 'token' } },
    credentials: { token },
  });
  return {
    test,
    vault,
    canaries,
    conformance,
    member,
    maintainer,
    viewer,
    token,
    withToken,
    withAppRole: () => ({
      type: 'VAULT',
      settings: {
        address: vault.url,
        path: '/v1/secret/data/app',
        authentication: { method: 'app-role', roleId: vault.roleId },
      },
      credentials: { secretId },
    }),
    async add(body = withToken(), at = finance) {
      const name = freshName();
      await test.call('POST', `${at}/integrations`, { body: { name, ...body } });
      return name;
    },
    choices: (query = '', who = member) => test.call<Chosen>('GET', `${finance}/choices${query}`, { token: who.token }),
    async close() {
      await test.close();
      await vault.close();
    },
  };
}

/** Path of an integration. */
export function one(name: string, at = finance): string {
  return `${at}/integrations/${name}`;
}

/** Which fields an answer says are wrong. */
export function pointers({ body }: Answer): string[] {
  return ((body as { errors?: { pointer: string }[] }).errors ?? []).map(({ pointer }) => pointer);
}
