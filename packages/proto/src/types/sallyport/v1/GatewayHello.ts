// Original file: proto/control.proto

import type { HostKey as _sallyport_v1_HostKey, HostKey__Output as _sallyport_v1_HostKey__Output } from '../../sallyport/v1/HostKey.js';

export interface GatewayHello {
  'version'?: (string);
  'instanceId'?: (string);
  'hostKeys'?: (_sallyport_v1_HostKey)[];
}

export interface GatewayHello__Output {
  'version': (string);
  'instanceId': (string);
  'hostKeys': (_sallyport_v1_HostKey__Output)[];
}
