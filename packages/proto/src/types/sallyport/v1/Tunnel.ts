// Original file: proto/tunnel.proto

import type * as grpc from '@grpc/grpc-js'
import type { MethodDefinition } from '@grpc/proto-loader'
import type { TunnelDown as _sallyport_v1_TunnelDown, TunnelDown__Output as _sallyport_v1_TunnelDown__Output } from '../../sallyport/v1/TunnelDown.js';
import type { TunnelUp as _sallyport_v1_TunnelUp, TunnelUp__Output as _sallyport_v1_TunnelUp__Output } from '../../sallyport/v1/TunnelUp.js';

/**
 * Served by every gateway, dialled by agents over mTLS. One stream per (agent, gateway) carries the control
 * messages and the bytes of all sessions: batched per turn of the sender's event loop, with a window per session,
 * so that a slow session never delays another.
 */
export interface TunnelClient extends grpc.Client {
  Connect(metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientDuplexStream<_sallyport_v1_TunnelUp, _sallyport_v1_TunnelDown__Output>;
  Connect(options?: grpc.CallOptions): grpc.ClientDuplexStream<_sallyport_v1_TunnelUp, _sallyport_v1_TunnelDown__Output>;
  connect(metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientDuplexStream<_sallyport_v1_TunnelUp, _sallyport_v1_TunnelDown__Output>;
  connect(options?: grpc.CallOptions): grpc.ClientDuplexStream<_sallyport_v1_TunnelUp, _sallyport_v1_TunnelDown__Output>;
  
}

/**
 * Served by every gateway, dialled by agents over mTLS. One stream per (agent, gateway) carries the control
 * messages and the bytes of all sessions: batched per turn of the sender's event loop, with a window per session,
 * so that a slow session never delays another.
 */
export interface TunnelHandlers extends grpc.UntypedServiceImplementation {
  Connect: grpc.handleBidiStreamingCall<_sallyport_v1_TunnelUp__Output, _sallyport_v1_TunnelDown>;
  
}

export interface TunnelDefinition extends grpc.ServiceDefinition {
  Connect: MethodDefinition<_sallyport_v1_TunnelUp, _sallyport_v1_TunnelDown, _sallyport_v1_TunnelUp__Output, _sallyport_v1_TunnelDown__Output>
}
