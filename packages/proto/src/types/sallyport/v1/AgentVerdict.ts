// Original file: proto/control.proto


export interface AgentVerdict {
  'agentId'?: (string);
  'instanceId'?: (string);
  'accepted'?: (boolean);
  'reason'?: (string);
}

export interface AgentVerdict__Output {
  'agentId': (string);
  'instanceId': (string);
  'accepted': (boolean);
  'reason': (string);
}
