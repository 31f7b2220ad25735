// What every page module needs of the document.

export const $ = (id) => document.getElementById(id);

/** Enables a button or not, by a rule of its own: a connection that comes back does not enable what may not be. */
export function allow(button, is, isConnected = true) {
  button.dataset.own = is ? "yes" : "no";
  button.disabled = !is || !isConnected;
}

/** An element with properties and children. */
export function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}
