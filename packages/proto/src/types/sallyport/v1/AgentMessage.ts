// Original file: proto/tunnel.proto

import type { EventBatch as _sallyport_v1_EventBatch, EventBatch__Output as _sallyport_v1_EventBatch__Output } from '../../sallyport/v1/EventBatch.js';
import type { ApprovalRequest as _sallyport_v1_ApprovalRequest, ApprovalRequest__Output as _sallyport_v1_ApprovalRequest__Output } from '../../sallyport/v1/ApprovalRequest.js';
import type { ApprovalCancel as _sallyport_v1_ApprovalCancel, ApprovalCancel__Output as _sallyport_v1_ApprovalCancel__Output } from '../../sallyport/v1/ApprovalCancel.js';
import type { LeaseRequest as _sallyport_v1_LeaseRequest, LeaseRequest__Output as _sallyport_v1_LeaseRequest__Output } from '../../sallyport/v1/LeaseRequest.js';
import type { Long } from '@grpc/proto-loader';

export interface AgentMessage {
  'agentId'?: (string);
  'instanceId'?: (string);
  /**
   * strictly increasing per (instance, gateway): a replayed message is dropped
   */
  'counter'?: (number | string | Long);
  'events'?: (_sallyport_v1_EventBatch | null);
  'approvalRequest'?: (_sallyport_v1_ApprovalRequest | null);
  'approvalCancel'?: (_sallyport_v1_ApprovalCancel | null);
  'leaseRequest'?: (_sallyport_v1_LeaseRequest | null);
  'kind'?: "events"|"approvalRequest"|"approvalCancel"|"leaseRequest";
}

export interface AgentMessage__Output {
  'agentId': (string);
  'instanceId': (string);
  /**
   * strictly increasing per (instance, gateway): a replayed message is dropped
   */
  'counter': (number);
  'events'?: (_sallyport_v1_EventBatch__Output | null);
  'approvalRequest'?: (_sallyport_v1_ApprovalRequest__Output | null);
  'approvalCancel'?: (_sallyport_v1_ApprovalCancel__Output | null);
  'leaseRequest'?: (_sallyport_v1_LeaseRequest__Output | null);
  'kind'?: "events"|"approvalRequest"|"approvalCancel"|"leaseRequest";
}
