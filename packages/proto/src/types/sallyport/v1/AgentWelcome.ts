// Original file: proto/tunnel.proto


export interface AgentWelcome {
  'gatewayId'?: (string);
  'agentId'?: (string);
  'accepted'?: (boolean);
  /**
   * when not accepted
   */
  'reason'?: (string);
}

export interface AgentWelcome__Output {
  'gatewayId': (string);
  'agentId': (string);
  'accepted': (boolean);
  /**
   * when not accepted
   */
  'reason': (string);
}
