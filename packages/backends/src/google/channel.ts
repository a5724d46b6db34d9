import * as gax from 'google-gax';

const { grpc } = gax;

type Channel = gax.grpc.ChannelInterface;

/**
 * A channel that tries to connect once for each call that finds it unconnected. One of the library's own goes on by itself
 * after a failure, and refuses calls until its pause is over, when Google may be reached again; how often something is tried
 * is said by the budget for retries (`limited`) alone.
 */
export class RenewedChannel implements Channel {
  readonly #create: () => Channel;
  #current: Channel;

  constructor(...parts: ConstructorParameters<typeof grpc.Channel>) {
    const [target, credentials, options] = parts;
    // A pool for all channels would hand on the connection with its pause.
    this.#create = () => new grpc.Channel(target, credentials, { ...options, 'grpc.use_local_subchannel_pool': 1 });
    this.#current = this.#create();
  }

  /** After a failure: what could not connect is given up, or everything, where a connection is dead. */
  renew(isDead: boolean): void {
    const isUnconnected = this.#current.getConnectivityState(false) === grpc.connectivityState.TRANSIENT_FAILURE;
    if (!isDead && !isUnconnected) return;
    this.#current.close();
    this.#current = this.#create();
  }

  createCall(...call: Parameters<Channel['createCall']>): ReturnType<Channel['createCall']> {
    return this.#current.createCall(...call);
  }

  close(): void {
    this.#current.close();
  }

  getTarget(): string {
    return this.#current.getTarget();
  }

  getConnectivityState(tryToConnect: boolean): gax.grpc.connectivityState {
    return this.#current.getConnectivityState(tryToConnect);
  }

  watchConnectivityState(...watch: Parameters<Channel['watchConnectivityState']>): void {
    this.#current.watchConnectivityState(...watch);
  }

  getChannelzRef(): ReturnType<Channel['getChannelzRef']> {
    return this.#current.getChannelzRef();
  }
}
