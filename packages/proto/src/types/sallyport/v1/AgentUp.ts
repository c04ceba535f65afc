// Original file: proto/control.proto


export interface AgentUp {
  'agentId'?: (string);
  'instanceId'?: (string);
  /**
   * hex, of the certificate the agent presented
   */
  'certificateSha256'?: (string);
  'version'?: (string);
  'protocols'?: (string)[];
}

export interface AgentUp__Output {
  'agentId': (string);
  'instanceId': (string);
  /**
   * hex, of the certificate the agent presented
   */
  'certificateSha256': (string);
  'version': (string);
  'protocols': (string)[];
}
