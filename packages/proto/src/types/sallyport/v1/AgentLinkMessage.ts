// Original file: proto/control.proto

import type { SignedMessage as _sallyport_v1_SignedMessage, SignedMessage__Output as _sallyport_v1_SignedMessage__Output } from '../../sallyport/v1/SignedMessage.js';

export interface AgentLinkMessage {
  'agentId'?: (string);
  'instanceId'?: (string);
  'message'?: (_sallyport_v1_SignedMessage | null);
}

export interface AgentLinkMessage__Output {
  'agentId': (string);
  'instanceId': (string);
  'message': (_sallyport_v1_SignedMessage__Output | null);
}
