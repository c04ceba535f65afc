// Original file: proto/control.proto


export interface GatewayHello {
  'version'?: (string);
  'instanceId'?: (string);
}

export interface GatewayHello__Output {
  'version': (string);
  'instanceId': (string);
}
