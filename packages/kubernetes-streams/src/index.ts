export { StreamsError, type StreamsErrorCode } from './errors.js'
export type {
  ForwardedConnection,
  OpenedConnection,
  PortForwardClient,
  PortForwardSession,
  RemoteCommandClient,
  RemoteCommandServer,
  RemoteCommandSession,
  RequestedStreams,
  TerminalSize,
} from './faces.js'
export { openPortForward, openRemoteCommand, servePortForward, serveRemoteCommand, type UpgradedConnection } from './open.js'
export { requestedStreams } from './query.js'
export { exitCode, exitStatus, failureStatus, successStatus, type Status } from './status.js'
export {
  acceptUpgrade,
  encodeUpgradeAnswer,
  isUpgrade,
  upgradeRequest,
  verifyUpgrade,
  websocketAccept,
  type AcceptedUpgrade,
  type HeaderBag,
  type RefusedUpgrade,
  type Upgrade,
  type UpgradeKind,
  type UpgradeRequest,
} from './upgrade.js'
