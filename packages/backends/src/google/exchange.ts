import { grpc } from 'google-gax';

/** What the headers of one answer said. */
export interface Exchange {
  /** Something answered that speaks HTTP/2 and no gRPC: a log-in page, a proxy. */
  isForeign: boolean;
}

/** Looks at the headers of an answer (https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md#responses). */
export function watching(exchange: Exchange): grpc.Interceptor {
  const look = (metadata: grpc.Metadata): void => {
    const type = metadata.get('content-type')[0];
    if (type !== undefined && !String(type).startsWith('application/grpc')) exchange.isForeign = true;
  };
  return (options, nextCall) =>
    new grpc.InterceptingCall(nextCall(options), {
      start(metadata, _listener, next) {
        next(metadata, {
          onReceiveMetadata(received, pass) {
            look(received);
            pass(received);
          },
          onReceiveStatus(ended, pass) {
            look(ended.metadata);
            pass(ended);
          },
        });
      },
    });
}
