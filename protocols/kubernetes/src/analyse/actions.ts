import type { ActionTree } from '@sallyport/policy'

/** Every action of the Kubernetes analyser, with one line for the policy reference. */
export const kubernetesActions: ActionTree = {
  actions: {
    k8s: 'Every Kubernetes action that is known. Does not cover k8s.exec.opaque, k8s.exec.sudo, k8s.proxy, k8s.token, k8s.subresource and k8s.raw, which must be named.',
    'k8s.get': 'Reads one object.',
    'k8s.list': 'Reads many objects.',
    'k8s.watch': 'Reads objects and their changes until it is ended.',
    'k8s.create': 'Makes an object.',
    'k8s.update': 'Replaces an object (PUT).',
    'k8s.patch': 'Changes an object (PATCH): kubectl apply, patch, edit, label, scale, set, rollout restart.',
    'k8s.delete': 'Deletes one object; also evicts a pod.',
    'k8s.deletecollection': 'Deletes many objects at once.',
    'k8s.logs': 'Reads what a container wrote to its output.',
    'k8s.exec': "Runs a command in a container: one effect for each simple command, with its words in argv; kubectl cp is a `tar` run by it.",
    'k8s.exec.redirect': 'A shell command in a container reads or writes a file by redirection.',
    'k8s.exec.opaque': 'Something in the command could run anything: an interactive shell, eval, a variable as command. Must be named.',
    'k8s.exec.sudo': 'A command in a container runs as another account (sudo, doas, su, runuser); what it runs is an effect of its own. Must be named.',
    'k8s.attach': 'Attaches to the running process of a container.',
    'k8s.portforward': 'Opens connections to ports of a pod.',
    'k8s.ephemeral': 'Adds a container to a running pod (kubectl debug).',
    'k8s.proxy': 'Sends any HTTP request to a pod, service or node through the API server. Must be named.',
    'k8s.token': 'Mints a token of a service account. Must be named.',
    'k8s.subresource': 'A subresource that is not known. Must be named.',
    'k8s.review': 'Asks whether an access would be allowed (auth can-i).',
    'k8s.discovery': 'Asks which APIs there are: what every client does first.',
    'k8s.raw': 'Any other path of the API server (metrics, logs, debug). Must be named.',
  },
  aliases: {
    'k8s.read': ['k8s.get', 'k8s.list', 'k8s.watch'],
    'k8s.write': ['k8s.create', 'k8s.update', 'k8s.patch'],
    'k8s.remove': ['k8s.delete', 'k8s.deletecollection'],
  },
}
