import type * as grpc from '@grpc/grpc-js';
import type { MessageTypeDefinition } from '@grpc/proto-loader';

import type { AgentDraining as _sallyport_v1_AgentDraining, AgentDraining__Output as _sallyport_v1_AgentDraining__Output } from './sallyport/v1/AgentDraining.js';
import type { AgentHello as _sallyport_v1_AgentHello, AgentHello__Output as _sallyport_v1_AgentHello__Output } from './sallyport/v1/AgentHello.js';
import type { AgentMessage as _sallyport_v1_AgentMessage, AgentMessage__Output as _sallyport_v1_AgentMessage__Output } from './sallyport/v1/AgentMessage.js';
import type { AgentWelcome as _sallyport_v1_AgentWelcome, AgentWelcome__Output as _sallyport_v1_AgentWelcome__Output } from './sallyport/v1/AgentWelcome.js';
import type { ApprovalCancel as _sallyport_v1_ApprovalCancel, ApprovalCancel__Output as _sallyport_v1_ApprovalCancel__Output } from './sallyport/v1/ApprovalCancel.js';
import type { ApprovalRequest as _sallyport_v1_ApprovalRequest, ApprovalRequest__Output as _sallyport_v1_ApprovalRequest__Output } from './sallyport/v1/ApprovalRequest.js';
import type { CloseChannel as _sallyport_v1_CloseChannel, CloseChannel__Output as _sallyport_v1_CloseChannel__Output } from './sallyport/v1/CloseChannel.js';
import type { EventBatch as _sallyport_v1_EventBatch, EventBatch__Output as _sallyport_v1_EventBatch__Output } from './sallyport/v1/EventBatch.js';
import type { Frame as _sallyport_v1_Frame, Frame__Output as _sallyport_v1_Frame__Output } from './sallyport/v1/Frame.js';
import type { FrameBatch as _sallyport_v1_FrameBatch, FrameBatch__Output as _sallyport_v1_FrameBatch__Output } from './sallyport/v1/FrameBatch.js';
import type { LeaseRequest as _sallyport_v1_LeaseRequest, LeaseRequest__Output as _sallyport_v1_LeaseRequest__Output } from './sallyport/v1/LeaseRequest.js';
import type { OpenChannel as _sallyport_v1_OpenChannel, OpenChannel__Output as _sallyport_v1_OpenChannel__Output } from './sallyport/v1/OpenChannel.js';
import type { SignedMessage as _sallyport_v1_SignedMessage, SignedMessage__Output as _sallyport_v1_SignedMessage__Output } from './sallyport/v1/SignedMessage.js';
import type { TunnelClient as _sallyport_v1_TunnelClient, TunnelDefinition as _sallyport_v1_TunnelDefinition } from './sallyport/v1/Tunnel.js';
import type { TunnelDown as _sallyport_v1_TunnelDown, TunnelDown__Output as _sallyport_v1_TunnelDown__Output } from './sallyport/v1/TunnelDown.js';
import type { TunnelUp as _sallyport_v1_TunnelUp, TunnelUp__Output as _sallyport_v1_TunnelUp__Output } from './sallyport/v1/TunnelUp.js';

type SubtypeConstructor<Constructor extends new (...args: any) => any, Subtype> = {
  new(...args: ConstructorParameters<Constructor>): Subtype;
};

export interface ProtoGrpcType {
  sallyport: {
    v1: {
      AgentDraining: MessageTypeDefinition<_sallyport_v1_AgentDraining, _sallyport_v1_AgentDraining__Output>
      AgentHello: MessageTypeDefinition<_sallyport_v1_AgentHello, _sallyport_v1_AgentHello__Output>
      AgentMessage: MessageTypeDefinition<_sallyport_v1_AgentMessage, _sallyport_v1_AgentMessage__Output>
      AgentWelcome: MessageTypeDefinition<_sallyport_v1_AgentWelcome, _sallyport_v1_AgentWelcome__Output>
      ApprovalCancel: MessageTypeDefinition<_sallyport_v1_ApprovalCancel, _sallyport_v1_ApprovalCancel__Output>
      ApprovalRequest: MessageTypeDefinition<_sallyport_v1_ApprovalRequest, _sallyport_v1_ApprovalRequest__Output>
      CloseChannel: MessageTypeDefinition<_sallyport_v1_CloseChannel, _sallyport_v1_CloseChannel__Output>
      EventBatch: MessageTypeDefinition<_sallyport_v1_EventBatch, _sallyport_v1_EventBatch__Output>
      Frame: MessageTypeDefinition<_sallyport_v1_Frame, _sallyport_v1_Frame__Output>
      FrameBatch: MessageTypeDefinition<_sallyport_v1_FrameBatch, _sallyport_v1_FrameBatch__Output>
      LeaseRequest: MessageTypeDefinition<_sallyport_v1_LeaseRequest, _sallyport_v1_LeaseRequest__Output>
      OpenChannel: MessageTypeDefinition<_sallyport_v1_OpenChannel, _sallyport_v1_OpenChannel__Output>
      SignedMessage: MessageTypeDefinition<_sallyport_v1_SignedMessage, _sallyport_v1_SignedMessage__Output>
      /**
       * Served by every gateway, dialled by agents over mTLS. One stream per (agent, gateway) carries the control
       * messages and the bytes of all sessions: batched per turn of the sender's event loop, with a window per session,
       * so that a slow session never delays another.
       */
      Tunnel: SubtypeConstructor<typeof grpc.Client, _sallyport_v1_TunnelClient> & { service: _sallyport_v1_TunnelDefinition }
      TunnelDown: MessageTypeDefinition<_sallyport_v1_TunnelDown, _sallyport_v1_TunnelDown__Output>
      TunnelUp: MessageTypeDefinition<_sallyport_v1_TunnelUp, _sallyport_v1_TunnelUp__Output>
    }
  }
}

