import { createSecureContext } from 'node:tls';
import { type protos, SecretManagerServiceClient } from '@google-cloud/secret-manager';
import * as gax from 'google-gax';
import { RenewedChannel } from './channel.ts';
import { type Exchange, watching } from './exchange.ts';

export type AccessAnswer = protos.google.cloud.secretmanager.v1.IAccessSecretVersionResponse;
export type DescribedVersion = protos.google.cloud.secretmanager.v1.ISecretVersion;
export type ListedSecret = protos.google.cloud.secretmanager.v1.ISecret;

const { GoogleAuth, grpc, GrpcClient, loggingUtils } = gax;

// With variables of the environment set, both write what they receive to the log: values.
loggingUtils.setBackend(null);
grpc.setLogVerbosity(grpc.logVerbosity.NONE);

/** Asks no file for a certificate of this machine and runs no program to have one; which one is trusted is said by the channel. */
class OwnGrpcClient extends GrpcClient {
  override _detectClientCertificate(): Promise<[undefined, undefined]> {
    return Promise.resolve([undefined, undefined]);
  }
}

export interface SdkPlace {
  /** Whose certificate is expected. */
  readonly host: string;
  readonly port: number;
  /** A socket of this machine that leads there. */
  readonly path: string;
  /** PEM; the well-known authorities without it. */
  readonly ca: string | undefined;
}

export interface Sdk {
  readonly client: SecretManagerServiceClient;
  /** After a failed call: what could not connect is given up, or everything, where a connection is dead. */
  readonly renew: (isDead: boolean) => void;
}

/** Answers are pages of at most 1,000 secrets, each with some KiB of labels and annotations, or 64 KiB of a value. */
const maxAnswerBytes = 16 * 1024 * 1024;
const maxSessionMegabytes = 32;
/** Nobody waits as long; the callers' signals end calls. */
const longestMilliseconds = 60_000;
const universeDomain = 'googleapis.com';

/**
 * The SDK's client, which asks neither the environment nor files in the home folder. One request for each call: retries have a
 * budget of their own (`limited`).
 */
export function createSdk({ host, port, path, ca }: SdkPlace): Sdk {
  let channel: RenewedChannel | undefined;
  const secure = createSecureContext({ minVersion: 'TLSv1.2', ...(ca === undefined ? {} : { ca }) });
  const client = new SecretManagerServiceClient(
    {
      apiEndpoint: host,
      port,
      universeDomain,
      // Only for what the library asks it besides tokens, which go along with each call.
      auth: new GoogleAuth({ clientOptions: { universeDomain } }),
      sslCreds: grpc.credentials.createFromSecureContext(secure, { rejectUnauthorized: true }),
      'grpc.channelFactoryOverride': (_address: string, credentials: gax.ChannelCredentials, options: object) =>
        (channel = new RenewedChannel(`unix:${path}`, credentials, options)),
      'grpc.default_authority': port === 443 ? host : `${host}:${port}`,
      'grpc.ssl_target_name_override': host,
      'grpc.enable_http_proxy': 0,
      'grpc.enable_retries': 0,
      // The answers of `_grpc_config.` TXT records say what a channel should do.
      'grpc.service_config_disable_resolution': 1,
      'grpc.max_receive_message_length': maxAnswerBytes,
      'grpc-node.max_session_memory': maxSessionMegabytes,
      libName: 'strongroom',
      libVersion: '0',
    },
    { ...gax, GrpcClient: OwnGrpcClient },
  );
  return { client, renew: (isDead) => channel?.renew(isDead) };
}

/** What goes along with each call. */
export function callOptions(token: string, exchange: Exchange, signal: AbortSignal): gax.CallOptions {
  return {
    retry: null,
    timeout: longestMilliseconds,
    autoPaginate: false,
    signal,
    otherArgs: {
      headers: { authorization: `Bearer ${token}` },
      options: { interceptors: [watching(exchange)] },
    },
  };
}
