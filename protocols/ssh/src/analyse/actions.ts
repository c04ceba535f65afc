import type { ActionTree } from '@sallyport/policy'

/** Every action of the SSH analyser, with one line for the policy reference. */
export const sshActions: ActionTree = {
  actions: {
    ssh: 'Every SSH action that is known. Does not cover ssh.exec.opaque, which must be named.',
    'ssh.exec': 'Runs a program: one effect for each simple command of the command line, with its words in argv.',
    'ssh.exec.opaque': 'Something in the command line that could run anything: eval, a variable as command, an unknown wrapper. Must be named.',
    'ssh.sudo': 'A command of the line runs as another account (sudo, doas, su, runuser); what it runs is an effect of its own.',
    'ssh.redirect.read': 'The command line reads a file by redirection.',
    'ssh.redirect.write': 'The command line writes a file by redirection or tee.',
    'ssh.shell': 'An interactive shell.',
    'ssh.pty': 'A terminal for the channel.',
    'ssh.env': 'Sets a variable in the environment of what the channel runs.',
    'ssh.subsystem': 'Starts a subsystem other than sftp.',
    'ssh.sftp.read': 'Reads a file (sftp, scp, rsync).',
    'ssh.sftp.write': 'Creates or changes a file (sftp, scp, rsync).',
    'ssh.sftp.list': 'Lists a directory.',
    'ssh.sftp.stat': 'Reads the attributes of a file.',
    'ssh.sftp.setstat': 'Changes the attributes of a file: size, owner, mode, times.',
    'ssh.sftp.remove': 'Removes a file.',
    'ssh.sftp.rename': 'Renames; one effect for the old and one for the new name.',
    'ssh.sftp.mkdir': 'Makes a directory.',
    'ssh.sftp.rmdir': 'Removes a directory.',
    'ssh.sftp.link': 'Makes a hard link; one effect for each name.',
    'ssh.sftp.symlink': 'Makes a symbolic link; one effect for each name.',
    'ssh.sftp.readlink': 'Reads where a symbolic link points.',
    'ssh.forward': 'Opens a connection from the target to host:port (ssh -L, -D, -W).',
    'ssh.reverse_forward': 'Listens on the target and brings connections to the client (ssh -R).',
    'ssh.agent_forward': 'Lets programs on the target use the keys of the client.',
    'ssh.x11': 'Lets programs on the target open windows at the client.',
  },
  aliases: {
    'ssh.sftp.browse': ['ssh.sftp.list', 'ssh.sftp.stat', 'ssh.sftp.readlink'],
    'ssh.sftp.change': ['ssh.sftp.write', 'ssh.sftp.setstat', 'ssh.sftp.rename', 'ssh.sftp.mkdir', 'ssh.sftp.link', 'ssh.sftp.symlink'],
    'ssh.sftp.delete': ['ssh.sftp.remove', 'ssh.sftp.rmdir'],
  },
}
