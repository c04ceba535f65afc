// Original file: proto/control.proto


export interface AgentDown {
  'agentId'?: (string);
  'instanceId'?: (string);
  /**
   * still connected, takes no new session
   */
  'draining'?: (boolean);
}

export interface AgentDown__Output {
  'agentId': (string);
  'instanceId': (string);
  /**
   * still connected, takes no new session
   */
  'draining': (boolean);
}
