// Original file: proto/tunnel.proto


export interface LeaseRequest {
  'sessionIds'?: (string)[];
}

export interface LeaseRequest__Output {
  'sessionIds': (string)[];
}
