// Original file: proto/control.proto

import type { GatewayHello as _sallyport_v1_GatewayHello, GatewayHello__Output as _sallyport_v1_GatewayHello__Output } from '../../sallyport/v1/GatewayHello.js';
import type { AgentUp as _sallyport_v1_AgentUp, AgentUp__Output as _sallyport_v1_AgentUp__Output } from '../../sallyport/v1/AgentUp.js';
import type { AgentDown as _sallyport_v1_AgentDown, AgentDown__Output as _sallyport_v1_AgentDown__Output } from '../../sallyport/v1/AgentDown.js';
import type { AgentLinkMessage as _sallyport_v1_AgentLinkMessage, AgentLinkMessage__Output as _sallyport_v1_AgentLinkMessage__Output } from '../../sallyport/v1/AgentLinkMessage.js';
import type { SessionClosed as _sallyport_v1_SessionClosed, SessionClosed__Output as _sallyport_v1_SessionClosed__Output } from '../../sallyport/v1/SessionClosed.js';
import type { ConnectionRefused as _sallyport_v1_ConnectionRefused, ConnectionRefused__Output as _sallyport_v1_ConnectionRefused__Output } from '../../sallyport/v1/ConnectionRefused.js';

export interface GatewayUp {
  'hello'?: (_sallyport_v1_GatewayHello | null);
  'agentUp'?: (_sallyport_v1_AgentUp | null);
  'agentDown'?: (_sallyport_v1_AgentDown | null);
  'link'?: (_sallyport_v1_AgentLinkMessage | null);
  'sessionClosed'?: (_sallyport_v1_SessionClosed | null);
  'connectionRefused'?: (_sallyport_v1_ConnectionRefused | null);
  'kind'?: "hello"|"agentUp"|"agentDown"|"link"|"sessionClosed"|"connectionRefused";
}

export interface GatewayUp__Output {
  'hello'?: (_sallyport_v1_GatewayHello__Output | null);
  'agentUp'?: (_sallyport_v1_AgentUp__Output | null);
  'agentDown'?: (_sallyport_v1_AgentDown__Output | null);
  'link'?: (_sallyport_v1_AgentLinkMessage__Output | null);
  'sessionClosed'?: (_sallyport_v1_SessionClosed__Output | null);
  'connectionRefused'?: (_sallyport_v1_ConnectionRefused__Output | null);
  'kind'?: "hello"|"agentUp"|"agentDown"|"link"|"sessionClosed"|"connectionRefused";
}
