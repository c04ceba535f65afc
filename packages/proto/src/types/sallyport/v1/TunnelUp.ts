// Original file: proto/tunnel.proto

import type { AgentHello as _sallyport_v1_AgentHello, AgentHello__Output as _sallyport_v1_AgentHello__Output } from '../../sallyport/v1/AgentHello.js';
import type { FrameBatch as _sallyport_v1_FrameBatch, FrameBatch__Output as _sallyport_v1_FrameBatch__Output } from '../../sallyport/v1/FrameBatch.js';
import type { SignedMessage as _sallyport_v1_SignedMessage, SignedMessage__Output as _sallyport_v1_SignedMessage__Output } from '../../sallyport/v1/SignedMessage.js';
import type { AgentDraining as _sallyport_v1_AgentDraining, AgentDraining__Output as _sallyport_v1_AgentDraining__Output } from '../../sallyport/v1/AgentDraining.js';

/**
 * Agent to gateway.
 */
export interface TunnelUp {
  'hello'?: (_sallyport_v1_AgentHello | null);
  'frames'?: (_sallyport_v1_FrameBatch | null);
  /**
   * Relayed to the control plane unopened; signed by the agent, so that a gateway can't alter it.
   */
  'link'?: (_sallyport_v1_SignedMessage | null);
  'draining'?: (_sallyport_v1_AgentDraining | null);
  'kind'?: "hello"|"frames"|"link"|"draining";
}

/**
 * Agent to gateway.
 */
export interface TunnelUp__Output {
  'hello'?: (_sallyport_v1_AgentHello__Output | null);
  'frames'?: (_sallyport_v1_FrameBatch__Output | null);
  /**
   * Relayed to the control plane unopened; signed by the agent, so that a gateway can't alter it.
   */
  'link'?: (_sallyport_v1_SignedMessage__Output | null);
  'draining'?: (_sallyport_v1_AgentDraining__Output | null);
  'kind'?: "hello"|"frames"|"link"|"draining";
}
