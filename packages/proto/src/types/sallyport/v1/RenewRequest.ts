// Original file: proto/control.proto

import type { Long } from '@grpc/proto-loader';

export interface RenewRequest {
  'nodeId'?: (string);
  /**
   * same or new key
   */
  'csr'?: (Buffer | Uint8Array | string);
  'timeUnixSeconds'?: (number | string | Long);
  /**
   * by the current key (P1363) over "sallyport-renew-v1\0" + csr + decimal time
   */
  'signature'?: (Buffer | Uint8Array | string);
}

export interface RenewRequest__Output {
  'nodeId': (string);
  /**
   * same or new key
   */
  'csr': (Buffer);
  'timeUnixSeconds': (number);
  /**
   * by the current key (P1363) over "sallyport-renew-v1\0" + csr + decimal time
   */
  'signature': (Buffer);
}
