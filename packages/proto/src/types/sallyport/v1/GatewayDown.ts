// Original file: proto/control.proto

import type { GatewayWelcome as _sallyport_v1_GatewayWelcome, GatewayWelcome__Output as _sallyport_v1_GatewayWelcome__Output } from '../../sallyport/v1/GatewayWelcome.js';
import type { AgentVerdict as _sallyport_v1_AgentVerdict, AgentVerdict__Output as _sallyport_v1_AgentVerdict__Output } from '../../sallyport/v1/AgentVerdict.js';
import type { KillSession as _sallyport_v1_KillSession, KillSession__Output as _sallyport_v1_KillSession__Output } from '../../sallyport/v1/KillSession.js';
import type { LinkDown as _sallyport_v1_LinkDown, LinkDown__Output as _sallyport_v1_LinkDown__Output } from '../../sallyport/v1/LinkDown.js';

export interface GatewayDown {
  'welcome'?: (_sallyport_v1_GatewayWelcome | null);
  'agentVerdict'?: (_sallyport_v1_AgentVerdict | null);
  'kill'?: (_sallyport_v1_KillSession | null);
  'link'?: (_sallyport_v1_LinkDown | null);
  'kind'?: "welcome"|"agentVerdict"|"kill"|"link";
}

export interface GatewayDown__Output {
  'welcome'?: (_sallyport_v1_GatewayWelcome__Output | null);
  'agentVerdict'?: (_sallyport_v1_AgentVerdict__Output | null);
  'kill'?: (_sallyport_v1_KillSession__Output | null);
  'link'?: (_sallyport_v1_LinkDown__Output | null);
  'kind'?: "welcome"|"agentVerdict"|"kill"|"link";
}
