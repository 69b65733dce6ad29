//! Sign-in, refresh, sign-out, devices.

use preau_tests::play;

#[test]
fn a_teacher_signs_in_and_out() {
    play(async |stage| {
        let node = stage.node().await;
        let school = stage.territory("test").await.school("Collège Rosa-Parks").await;
        let durand = school.class("6e B").await.teacher("Claire Durand").await;
        let session = node.sign_in(&durand).await;
        let me = node.bearer(&session.access);
        let devices = me.get("/api/v1/sessions").await.expect(200).json();
        assert_eq!(devices["items"].as_array().unwrap().len(), 1);
        assert_eq!(devices["items"][0]["current"], true);
        me.delete("/api/v1/sessions/current").await.expect(204);
        me.get("/api/v1/sessions").await.refused(401, "unauthorized");
    });
}
