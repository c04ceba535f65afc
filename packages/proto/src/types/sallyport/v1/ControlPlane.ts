// Original file: proto/control.proto

import type * as grpc from '@grpc/grpc-js'
import type { MethodDefinition } from '@grpc/proto-loader'
import type { GatewayDown as _sallyport_v1_GatewayDown, GatewayDown__Output as _sallyport_v1_GatewayDown__Output } from '../../sallyport/v1/GatewayDown.js';
import type { GatewayUp as _sallyport_v1_GatewayUp, GatewayUp__Output as _sallyport_v1_GatewayUp__Output } from '../../sallyport/v1/GatewayUp.js';
import type { OpenSessionReply as _sallyport_v1_OpenSessionReply, OpenSessionReply__Output as _sallyport_v1_OpenSessionReply__Output } from '../../sallyport/v1/OpenSessionReply.js';
import type { OpenSessionRequest as _sallyport_v1_OpenSessionRequest, OpenSessionRequest__Output as _sallyport_v1_OpenSessionRequest__Output } from '../../sallyport/v1/OpenSessionRequest.js';

/**
 * Served by the control plane to gateways over mTLS.
 */
export interface ControlPlaneClient extends grpc.Client {
  /**
   * One per gateway, for its lifetime.
   */
  Link(metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientDuplexStream<_sallyport_v1_GatewayUp, _sallyport_v1_GatewayDown__Output>;
  Link(options?: grpc.CallOptions): grpc.ClientDuplexStream<_sallyport_v1_GatewayUp, _sallyport_v1_GatewayDown__Output>;
  /**
   * One per gateway, for its lifetime.
   */
  link(metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientDuplexStream<_sallyport_v1_GatewayUp, _sallyport_v1_GatewayDown__Output>;
  link(options?: grpc.CallOptions): grpc.ClientDuplexStream<_sallyport_v1_GatewayUp, _sallyport_v1_GatewayDown__Output>;
  
  /**
   * One conversation per client connection: authentication, then the grant. The gateway relays what the client
   * proves; the control plane verifies it. The stream ends after granted or refused.
   */
  OpenSession(metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientDuplexStream<_sallyport_v1_OpenSessionRequest, _sallyport_v1_OpenSessionReply__Output>;
  OpenSession(options?: grpc.CallOptions): grpc.ClientDuplexStream<_sallyport_v1_OpenSessionRequest, _sallyport_v1_OpenSessionReply__Output>;
  /**
   * One conversation per client connection: authentication, then the grant. The gateway relays what the client
   * proves; the control plane verifies it. The stream ends after granted or refused.
   */
  openSession(metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientDuplexStream<_sallyport_v1_OpenSessionRequest, _sallyport_v1_OpenSessionReply__Output>;
  openSession(options?: grpc.CallOptions): grpc.ClientDuplexStream<_sallyport_v1_OpenSessionRequest, _sallyport_v1_OpenSessionReply__Output>;
  
}

/**
 * Served by the control plane to gateways over mTLS.
 */
export interface ControlPlaneHandlers extends grpc.UntypedServiceImplementation {
  /**
   * One per gateway, for its lifetime.
   */
  Link: grpc.handleBidiStreamingCall<_sallyport_v1_GatewayUp__Output, _sallyport_v1_GatewayDown>;
  
  /**
   * One conversation per client connection: authentication, then the grant. The gateway relays what the client
   * proves; the control plane verifies it. The stream ends after granted or refused.
   */
  OpenSession: grpc.handleBidiStreamingCall<_sallyport_v1_OpenSessionRequest__Output, _sallyport_v1_OpenSessionReply>;
  
}

export interface ControlPlaneDefinition extends grpc.ServiceDefinition {
  Link: MethodDefinition<_sallyport_v1_GatewayUp, _sallyport_v1_GatewayDown, _sallyport_v1_GatewayUp__Output, _sallyport_v1_GatewayDown__Output>
  OpenSession: MethodDefinition<_sallyport_v1_OpenSessionRequest, _sallyport_v1_OpenSessionReply, _sallyport_v1_OpenSessionRequest__Output, _sallyport_v1_OpenSessionReply__Output>
}
