const say = (t) => { this.nextElementSibling.textContent = ' ' + t; };
const box = this.closest('.mdlib-panel').querySelector('.CLASS textarea');
if (!navigator.mediaDevices) { say('no camera: the page is not https or localhost'); return; }
if (!this.video) {
  say('starting ...');
  const wish = {width: {ideal: 1280}, facingMode: 'environment'};
  navigator.mediaDevices.getUserMedia({video: wish}).then((s) => {
    const v = document.createElement('video');
    v.srcObject = s; v.muted = true; v.playsInline = true; v.style.width = '220px';
    this.parentElement.appendChild(v); this.video = v;
    v.play().then(() => { this.textContent = 'Take the picture'; say('look'); });
  }).catch((e) => say('no camera: ' + e.message));
} else {
  const v = this.video, c = document.createElement('canvas');
  c.width = v.videoWidth; c.height = v.videoHeight;
  c.getContext('2d').drawImage(v, 0, 0);
  v.srcObject.getTracks().forEach((t) => t.stop()); v.remove(); this.video = null;
  this.textContent = 'Camera'; say('taken');
  box.value = c.toDataURL('image/jpeg', 0.9);
  ['input', 'change'].forEach((n) => box.dispatchEvent(new Event(n, {bubbles: true})));
}
