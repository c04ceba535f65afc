// Original file: proto/control.proto


export interface GatewayWelcome {
  'gatewayId'?: (string);
}

export interface GatewayWelcome__Output {
  'gatewayId': (string);
}
