'use strict';

// A one-time link carries its token in the fragment, which browsers never send. It is put into a command for the terminal
// and nowhere else, and taken out of the address at once, so that neither history nor a screenshot of the bar keeps it.
const token = /^#(srl_[0-9A-Za-z]{20,120})$/.exec(location.hash)?.[1];
if (location.hash !== '') history.replaceState(null, '', location.pathname);

const byId = (id) => document.getElementById(id);
const isOwnMachine = ['localhost', '127.0.0.1', '[::1]'].includes(location.hostname) && location.port === '8480';
const server = isOwnMachine ? '' : ` --url ${location.origin}`;

byId('login-command').textContent = `npx strongroom login${server}`;
if (token !== undefined) {
  byId('link-command').textContent = `npx strongroom login${server} --link ${token}`;
  byId('link').hidden = false;
  byId('welcome').hidden = true;
  document.title = 'Sign in – Strongroom';
}

for (const name of ['link', 'login']) {
  const command = byId(`${name}-command`);
  const say = (text) => {
    byId(`${name}-status`).textContent = text;
  };
  // Without HTTPS there may be no clipboard: then the text is selected, and the usual keys copy it.
  const select = () => {
    getSelection()?.selectAllChildren(command);
    say('Selected: copy it with the keyboard');
  };
  byId(`${name}-copy`).addEventListener('click', () => {
    if (navigator.clipboard === undefined) select();
    else navigator.clipboard.writeText(command.textContent).then(() => say('Copied'), select);
  });
}
