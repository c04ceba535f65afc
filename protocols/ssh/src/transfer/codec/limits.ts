/** Largest packet after its length field: SFTP_MAX_MSG_LENGTH of OpenSSH's sftp-common.h. */
export const maxPacketBytes = 256 * 1024

/** A handle of the server: draft-ietf-secsh-filexfer-02 section 6.3, "MUST NOT exceed 256 bytes". */
export const maxHandleBytes = 256

/** PATH_MAX of Linux; no server that we know opens a longer one. */
export const maxPathBytes = 4096
