// Original file: proto/tunnel.proto

import type { AgentWelcome as _sallyport_v1_AgentWelcome, AgentWelcome__Output as _sallyport_v1_AgentWelcome__Output } from '../../sallyport/v1/AgentWelcome.js';
import type { FrameBatch as _sallyport_v1_FrameBatch, FrameBatch__Output as _sallyport_v1_FrameBatch__Output } from '../../sallyport/v1/FrameBatch.js';

/**
 * Gateway to agent.
 */
export interface TunnelDown {
  'welcome'?: (_sallyport_v1_AgentWelcome | null);
  'frames'?: (_sallyport_v1_FrameBatch | null);
  /**
   * From the control plane, unopened: a compact JWS signed with the control plane's key.
   */
  'link'?: (Buffer | Uint8Array | string);
  'kind'?: "welcome"|"frames"|"link";
}

/**
 * Gateway to agent.
 */
export interface TunnelDown__Output {
  'welcome'?: (_sallyport_v1_AgentWelcome__Output | null);
  'frames'?: (_sallyport_v1_FrameBatch__Output | null);
  /**
   * From the control plane, unopened: a compact JWS signed with the control plane's key.
   */
  'link'?: (Buffer);
  'kind'?: "welcome"|"frames"|"link";
}
