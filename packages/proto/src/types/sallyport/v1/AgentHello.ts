// Original file: proto/tunnel.proto


export interface AgentHello {
  /**
   * random per process start
   */
  'instanceId'?: (string);
  'version'?: (string);
  'protocols'?: (string)[];
}

export interface AgentHello__Output {
  /**
   * random per process start
   */
  'instanceId': (string);
  'version': (string);
  'protocols': (string)[];
}
