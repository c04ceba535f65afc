// Original file: proto/control.proto

import type { AskPassword as _sallyport_v1_AskPassword, AskPassword__Output as _sallyport_v1_AskPassword__Output } from '../../sallyport/v1/AskPassword.js';
import type { AskSasl as _sallyport_v1_AskSasl, AskSasl__Output as _sallyport_v1_AskSasl__Output } from '../../sallyport/v1/AskSasl.js';
import type { SessionGranted as _sallyport_v1_SessionGranted, SessionGranted__Output as _sallyport_v1_SessionGranted__Output } from '../../sallyport/v1/SessionGranted.js';
import type { SessionRefused as _sallyport_v1_SessionRefused, SessionRefused__Output as _sallyport_v1_SessionRefused__Output } from '../../sallyport/v1/SessionRefused.js';

export interface OpenSessionReply {
  'askPassword'?: (_sallyport_v1_AskPassword | null);
  'askSasl'?: (_sallyport_v1_AskSasl | null);
  'saslContinue'?: (Buffer | Uint8Array | string);
  'granted'?: (_sallyport_v1_SessionGranted | null);
  'refused'?: (_sallyport_v1_SessionRefused | null);
  'kind'?: "askPassword"|"askSasl"|"saslContinue"|"granted"|"refused";
}

export interface OpenSessionReply__Output {
  'askPassword'?: (_sallyport_v1_AskPassword__Output | null);
  'askSasl'?: (_sallyport_v1_AskSasl__Output | null);
  'saslContinue'?: (Buffer);
  'granted'?: (_sallyport_v1_SessionGranted__Output | null);
  'refused'?: (_sallyport_v1_SessionRefused__Output | null);
  'kind'?: "askPassword"|"askSasl"|"saslContinue"|"granted"|"refused";
}
