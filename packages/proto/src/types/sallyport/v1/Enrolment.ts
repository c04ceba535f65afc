// Original file: proto/control.proto

import type * as grpc from '@grpc/grpc-js'
import type { MethodDefinition } from '@grpc/proto-loader'
import type { EnrolReply as _sallyport_v1_EnrolReply, EnrolReply__Output as _sallyport_v1_EnrolReply__Output } from '../../sallyport/v1/EnrolReply.js';
import type { EnrolRequest as _sallyport_v1_EnrolRequest, EnrolRequest__Output as _sallyport_v1_EnrolRequest__Output } from '../../sallyport/v1/EnrolRequest.js';
import type { RenewRequest as _sallyport_v1_RenewRequest, RenewRequest__Output as _sallyport_v1_RenewRequest__Output } from '../../sallyport/v1/RenewRequest.js';

/**
 * Served by the control plane, and relayed unopened by every gateway, so that an agent needs to reach a gateway only.
 * TLS without a trusted CA: what comes back is checked against the fingerprint inside the enrolment token, what goes
 * out proves possession of the token without revealing it.
 */
export interface EnrolmentClient extends grpc.Client {
  Enrol(argument: _sallyport_v1_EnrolRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_sallyport_v1_EnrolReply__Output>): grpc.ClientUnaryCall;
  Enrol(argument: _sallyport_v1_EnrolRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_sallyport_v1_EnrolReply__Output>): grpc.ClientUnaryCall;
  Enrol(argument: _sallyport_v1_EnrolRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_sallyport_v1_EnrolReply__Output>): grpc.ClientUnaryCall;
  Enrol(argument: _sallyport_v1_EnrolRequest, callback: grpc.requestCallback<_sallyport_v1_EnrolReply__Output>): grpc.ClientUnaryCall;
  enrol(argument: _sallyport_v1_EnrolRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_sallyport_v1_EnrolReply__Output>): grpc.ClientUnaryCall;
  enrol(argument: _sallyport_v1_EnrolRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_sallyport_v1_EnrolReply__Output>): grpc.ClientUnaryCall;
  enrol(argument: _sallyport_v1_EnrolRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_sallyport_v1_EnrolReply__Output>): grpc.ClientUnaryCall;
  enrol(argument: _sallyport_v1_EnrolRequest, callback: grpc.requestCallback<_sallyport_v1_EnrolReply__Output>): grpc.ClientUnaryCall;
  
  Renew(argument: _sallyport_v1_RenewRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_sallyport_v1_EnrolReply__Output>): grpc.ClientUnaryCall;
  Renew(argument: _sallyport_v1_RenewRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_sallyport_v1_EnrolReply__Output>): grpc.ClientUnaryCall;
  Renew(argument: _sallyport_v1_RenewRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_sallyport_v1_EnrolReply__Output>): grpc.ClientUnaryCall;
  Renew(argument: _sallyport_v1_RenewRequest, callback: grpc.requestCallback<_sallyport_v1_EnrolReply__Output>): grpc.ClientUnaryCall;
  renew(argument: _sallyport_v1_RenewRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_sallyport_v1_EnrolReply__Output>): grpc.ClientUnaryCall;
  renew(argument: _sallyport_v1_RenewRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_sallyport_v1_EnrolReply__Output>): grpc.ClientUnaryCall;
  renew(argument: _sallyport_v1_RenewRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_sallyport_v1_EnrolReply__Output>): grpc.ClientUnaryCall;
  renew(argument: _sallyport_v1_RenewRequest, callback: grpc.requestCallback<_sallyport_v1_EnrolReply__Output>): grpc.ClientUnaryCall;
  
}

/**
 * Served by the control plane, and relayed unopened by every gateway, so that an agent needs to reach a gateway only.
 * TLS without a trusted CA: what comes back is checked against the fingerprint inside the enrolment token, what goes
 * out proves possession of the token without revealing it.
 */
export interface EnrolmentHandlers extends grpc.UntypedServiceImplementation {
  Enrol: grpc.handleUnaryCall<_sallyport_v1_EnrolRequest__Output, _sallyport_v1_EnrolReply>;
  
  Renew: grpc.handleUnaryCall<_sallyport_v1_RenewRequest__Output, _sallyport_v1_EnrolReply>;
  
}

export interface EnrolmentDefinition extends grpc.ServiceDefinition {
  Enrol: MethodDefinition<_sallyport_v1_EnrolRequest, _sallyport_v1_EnrolReply, _sallyport_v1_EnrolRequest__Output, _sallyport_v1_EnrolReply__Output>
  Renew: MethodDefinition<_sallyport_v1_RenewRequest, _sallyport_v1_EnrolReply, _sallyport_v1_RenewRequest__Output, _sallyport_v1_EnrolReply__Output>
}
