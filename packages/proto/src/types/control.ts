import type * as grpc from '@grpc/grpc-js';
import type { MessageTypeDefinition } from '@grpc/proto-loader';

import type { AgentDown as _sallyport_v1_AgentDown, AgentDown__Output as _sallyport_v1_AgentDown__Output } from './sallyport/v1/AgentDown.js';
import type { AgentDraining as _sallyport_v1_AgentDraining, AgentDraining__Output as _sallyport_v1_AgentDraining__Output } from './sallyport/v1/AgentDraining.js';
import type { AgentHello as _sallyport_v1_AgentHello, AgentHello__Output as _sallyport_v1_AgentHello__Output } from './sallyport/v1/AgentHello.js';
import type { AgentLinkMessage as _sallyport_v1_AgentLinkMessage, AgentLinkMessage__Output as _sallyport_v1_AgentLinkMessage__Output } from './sallyport/v1/AgentLinkMessage.js';
import type { AgentMessage as _sallyport_v1_AgentMessage, AgentMessage__Output as _sallyport_v1_AgentMessage__Output } from './sallyport/v1/AgentMessage.js';
import type { AgentUp as _sallyport_v1_AgentUp, AgentUp__Output as _sallyport_v1_AgentUp__Output } from './sallyport/v1/AgentUp.js';
import type { AgentVerdict as _sallyport_v1_AgentVerdict, AgentVerdict__Output as _sallyport_v1_AgentVerdict__Output } from './sallyport/v1/AgentVerdict.js';
import type { AgentWelcome as _sallyport_v1_AgentWelcome, AgentWelcome__Output as _sallyport_v1_AgentWelcome__Output } from './sallyport/v1/AgentWelcome.js';
import type { ApprovalCancel as _sallyport_v1_ApprovalCancel, ApprovalCancel__Output as _sallyport_v1_ApprovalCancel__Output } from './sallyport/v1/ApprovalCancel.js';
import type { ApprovalRequest as _sallyport_v1_ApprovalRequest, ApprovalRequest__Output as _sallyport_v1_ApprovalRequest__Output } from './sallyport/v1/ApprovalRequest.js';
import type { AskPassword as _sallyport_v1_AskPassword, AskPassword__Output as _sallyport_v1_AskPassword__Output } from './sallyport/v1/AskPassword.js';
import type { AskSasl as _sallyport_v1_AskSasl, AskSasl__Output as _sallyport_v1_AskSasl__Output } from './sallyport/v1/AskSasl.js';
import type { CloseChannel as _sallyport_v1_CloseChannel, CloseChannel__Output as _sallyport_v1_CloseChannel__Output } from './sallyport/v1/CloseChannel.js';
import type { ConnectionRefused as _sallyport_v1_ConnectionRefused, ConnectionRefused__Output as _sallyport_v1_ConnectionRefused__Output } from './sallyport/v1/ConnectionRefused.js';
import type { ControlPlaneClient as _sallyport_v1_ControlPlaneClient, ControlPlaneDefinition as _sallyport_v1_ControlPlaneDefinition } from './sallyport/v1/ControlPlane.js';
import type { EnrolReply as _sallyport_v1_EnrolReply, EnrolReply__Output as _sallyport_v1_EnrolReply__Output } from './sallyport/v1/EnrolReply.js';
import type { EnrolRequest as _sallyport_v1_EnrolRequest, EnrolRequest__Output as _sallyport_v1_EnrolRequest__Output } from './sallyport/v1/EnrolRequest.js';
import type { EnrolmentClient as _sallyport_v1_EnrolmentClient, EnrolmentDefinition as _sallyport_v1_EnrolmentDefinition } from './sallyport/v1/Enrolment.js';
import type { EventBatch as _sallyport_v1_EventBatch, EventBatch__Output as _sallyport_v1_EventBatch__Output } from './sallyport/v1/EventBatch.js';
import type { Frame as _sallyport_v1_Frame, Frame__Output as _sallyport_v1_Frame__Output } from './sallyport/v1/Frame.js';
import type { FrameBatch as _sallyport_v1_FrameBatch, FrameBatch__Output as _sallyport_v1_FrameBatch__Output } from './sallyport/v1/FrameBatch.js';
import type { GatewayDown as _sallyport_v1_GatewayDown, GatewayDown__Output as _sallyport_v1_GatewayDown__Output } from './sallyport/v1/GatewayDown.js';
import type { GatewayHello as _sallyport_v1_GatewayHello, GatewayHello__Output as _sallyport_v1_GatewayHello__Output } from './sallyport/v1/GatewayHello.js';
import type { GatewayUp as _sallyport_v1_GatewayUp, GatewayUp__Output as _sallyport_v1_GatewayUp__Output } from './sallyport/v1/GatewayUp.js';
import type { GatewayWelcome as _sallyport_v1_GatewayWelcome, GatewayWelcome__Output as _sallyport_v1_GatewayWelcome__Output } from './sallyport/v1/GatewayWelcome.js';
import type { HostKey as _sallyport_v1_HostKey, HostKey__Output as _sallyport_v1_HostKey__Output } from './sallyport/v1/HostKey.js';
import type { KillSession as _sallyport_v1_KillSession, KillSession__Output as _sallyport_v1_KillSession__Output } from './sallyport/v1/KillSession.js';
import type { LeaseRequest as _sallyport_v1_LeaseRequest, LeaseRequest__Output as _sallyport_v1_LeaseRequest__Output } from './sallyport/v1/LeaseRequest.js';
import type { LinkDown as _sallyport_v1_LinkDown, LinkDown__Output as _sallyport_v1_LinkDown__Output } from './sallyport/v1/LinkDown.js';
import type { OpenChannel as _sallyport_v1_OpenChannel, OpenChannel__Output as _sallyport_v1_OpenChannel__Output } from './sallyport/v1/OpenChannel.js';
import type { OpenSessionReply as _sallyport_v1_OpenSessionReply, OpenSessionReply__Output as _sallyport_v1_OpenSessionReply__Output } from './sallyport/v1/OpenSessionReply.js';
import type { OpenSessionRequest as _sallyport_v1_OpenSessionRequest, OpenSessionRequest__Output as _sallyport_v1_OpenSessionRequest__Output } from './sallyport/v1/OpenSessionRequest.js';
import type { PublicKeyProof as _sallyport_v1_PublicKeyProof, PublicKeyProof__Output as _sallyport_v1_PublicKeyProof__Output } from './sallyport/v1/PublicKeyProof.js';
import type { RenewRequest as _sallyport_v1_RenewRequest, RenewRequest__Output as _sallyport_v1_RenewRequest__Output } from './sallyport/v1/RenewRequest.js';
import type { SaslInitial as _sallyport_v1_SaslInitial, SaslInitial__Output as _sallyport_v1_SaslInitial__Output } from './sallyport/v1/SaslInitial.js';
import type { SessionClosed as _sallyport_v1_SessionClosed, SessionClosed__Output as _sallyport_v1_SessionClosed__Output } from './sallyport/v1/SessionClosed.js';
import type { SessionGranted as _sallyport_v1_SessionGranted, SessionGranted__Output as _sallyport_v1_SessionGranted__Output } from './sallyport/v1/SessionGranted.js';
import type { SessionRefused as _sallyport_v1_SessionRefused, SessionRefused__Output as _sallyport_v1_SessionRefused__Output } from './sallyport/v1/SessionRefused.js';
import type { SessionStart as _sallyport_v1_SessionStart, SessionStart__Output as _sallyport_v1_SessionStart__Output } from './sallyport/v1/SessionStart.js';
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
      AgentDown: MessageTypeDefinition<_sallyport_v1_AgentDown, _sallyport_v1_AgentDown__Output>
      AgentDraining: MessageTypeDefinition<_sallyport_v1_AgentDraining, _sallyport_v1_AgentDraining__Output>
      AgentHello: MessageTypeDefinition<_sallyport_v1_AgentHello, _sallyport_v1_AgentHello__Output>
      AgentLinkMessage: MessageTypeDefinition<_sallyport_v1_AgentLinkMessage, _sallyport_v1_AgentLinkMessage__Output>
      AgentMessage: MessageTypeDefinition<_sallyport_v1_AgentMessage, _sallyport_v1_AgentMessage__Output>
      AgentUp: MessageTypeDefinition<_sallyport_v1_AgentUp, _sallyport_v1_AgentUp__Output>
      AgentVerdict: MessageTypeDefinition<_sallyport_v1_AgentVerdict, _sallyport_v1_AgentVerdict__Output>
      AgentWelcome: MessageTypeDefinition<_sallyport_v1_AgentWelcome, _sallyport_v1_AgentWelcome__Output>
      ApprovalCancel: MessageTypeDefinition<_sallyport_v1_ApprovalCancel, _sallyport_v1_ApprovalCancel__Output>
      ApprovalRequest: MessageTypeDefinition<_sallyport_v1_ApprovalRequest, _sallyport_v1_ApprovalRequest__Output>
      AskPassword: MessageTypeDefinition<_sallyport_v1_AskPassword, _sallyport_v1_AskPassword__Output>
      AskSasl: MessageTypeDefinition<_sallyport_v1_AskSasl, _sallyport_v1_AskSasl__Output>
      CloseChannel: MessageTypeDefinition<_sallyport_v1_CloseChannel, _sallyport_v1_CloseChannel__Output>
      ConnectionRefused: MessageTypeDefinition<_sallyport_v1_ConnectionRefused, _sallyport_v1_ConnectionRefused__Output>
      /**
       * Served by the control plane to gateways over mTLS.
       */
      ControlPlane: SubtypeConstructor<typeof grpc.Client, _sallyport_v1_ControlPlaneClient> & { service: _sallyport_v1_ControlPlaneDefinition }
      EnrolReply: MessageTypeDefinition<_sallyport_v1_EnrolReply, _sallyport_v1_EnrolReply__Output>
      EnrolRequest: MessageTypeDefinition<_sallyport_v1_EnrolRequest, _sallyport_v1_EnrolRequest__Output>
      /**
       * Served by the control plane, and relayed unopened by every gateway, so that an agent needs to reach a gateway only.
       * TLS without a trusted CA: what comes back is checked against the fingerprint inside the enrolment token, what goes
       * out proves possession of the token without revealing it.
       */
      Enrolment: SubtypeConstructor<typeof grpc.Client, _sallyport_v1_EnrolmentClient> & { service: _sallyport_v1_EnrolmentDefinition }
      EventBatch: MessageTypeDefinition<_sallyport_v1_EventBatch, _sallyport_v1_EventBatch__Output>
      Frame: MessageTypeDefinition<_sallyport_v1_Frame, _sallyport_v1_Frame__Output>
      FrameBatch: MessageTypeDefinition<_sallyport_v1_FrameBatch, _sallyport_v1_FrameBatch__Output>
      GatewayDown: MessageTypeDefinition<_sallyport_v1_GatewayDown, _sallyport_v1_GatewayDown__Output>
      GatewayHello: MessageTypeDefinition<_sallyport_v1_GatewayHello, _sallyport_v1_GatewayHello__Output>
      GatewayUp: MessageTypeDefinition<_sallyport_v1_GatewayUp, _sallyport_v1_GatewayUp__Output>
      GatewayWelcome: MessageTypeDefinition<_sallyport_v1_GatewayWelcome, _sallyport_v1_GatewayWelcome__Output>
      HostKey: MessageTypeDefinition<_sallyport_v1_HostKey, _sallyport_v1_HostKey__Output>
      KillSession: MessageTypeDefinition<_sallyport_v1_KillSession, _sallyport_v1_KillSession__Output>
      LeaseRequest: MessageTypeDefinition<_sallyport_v1_LeaseRequest, _sallyport_v1_LeaseRequest__Output>
      LinkDown: MessageTypeDefinition<_sallyport_v1_LinkDown, _sallyport_v1_LinkDown__Output>
      OpenChannel: MessageTypeDefinition<_sallyport_v1_OpenChannel, _sallyport_v1_OpenChannel__Output>
      OpenSessionReply: MessageTypeDefinition<_sallyport_v1_OpenSessionReply, _sallyport_v1_OpenSessionReply__Output>
      OpenSessionRequest: MessageTypeDefinition<_sallyport_v1_OpenSessionRequest, _sallyport_v1_OpenSessionRequest__Output>
      PublicKeyProof: MessageTypeDefinition<_sallyport_v1_PublicKeyProof, _sallyport_v1_PublicKeyProof__Output>
      RenewRequest: MessageTypeDefinition<_sallyport_v1_RenewRequest, _sallyport_v1_RenewRequest__Output>
      SaslInitial: MessageTypeDefinition<_sallyport_v1_SaslInitial, _sallyport_v1_SaslInitial__Output>
      SessionClosed: MessageTypeDefinition<_sallyport_v1_SessionClosed, _sallyport_v1_SessionClosed__Output>
      SessionGranted: MessageTypeDefinition<_sallyport_v1_SessionGranted, _sallyport_v1_SessionGranted__Output>
      SessionRefused: MessageTypeDefinition<_sallyport_v1_SessionRefused, _sallyport_v1_SessionRefused__Output>
      SessionStart: MessageTypeDefinition<_sallyport_v1_SessionStart, _sallyport_v1_SessionStart__Output>
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

