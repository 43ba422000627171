<?php
// A service of SOAP 1.1 that says which operation was called.
class HR {
    function Get() { return 'got'; }
    function Pay() { return 'paid'; }
}
$s = new SoapServer(null, ['uri' => 'urn:hr']);
$s->setClass('HR');
$s->handle();
